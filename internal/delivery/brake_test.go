package delivery

import (
	"fmt"
	"testing"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

func TestTheBrakeCountsEqualRefusalsInARow(t *testing.T) {
	t.Parallel()
	refuse := func(code int, enhanced, text string) notice.Answer {
		return notice.Answer{Outcome: notice.OutcomeNever, Command: "RCPT", Code: code, Enhanced: enhanced, Text: text}
	}
	denied := func(i int, _ string) notice.Answer { return refuse(554, "5.7.1", "Relay access denied") }
	for name, c := range map[string]struct {
		domains int
		answer  func(i int, to string) notice.Answer
		holds   int // at which refusal; 0: at none of 150
		broad   bool
	}{
		"over three domains": {3, denied, 20, true},
		"over many":          {40, denied, 20, true},
		"over two":           {2, denied, 100, false},
		"of one domain":      {1, denied, 100, false},
		"with the address":   {5, func(_ int, to string) notice.Answer { return refuse(554, "5.7.1", "<"+to+">: Relay access denied") }, 20, true},
		"with the local part": {5, func(i int, _ string) notice.Answer {
			return refuse(550, "5.7.1", fmt.Sprintf("user m%d is not ours", i))
		}, 20, true},
		"with ids":           {5, func(i int, _ string) notice.Answer { return refuse(554, "", fmt.Sprintf("denied [id 4F%dA7]", i)) }, 20, true},
		"of mailboxes":       {5, func(_ int, to string) notice.Answer { return refuse(550, "5.1.1", to+": nobody") }, 100, true},
		"of full mailboxes":  {5, func(int, string) notice.Answer { return refuse(552, "5.2.2", "over quota") }, 100, true},
		"of users, in words": {5, func(int, string) notice.Answer { return refuse(550, "", "No such user here") }, 100, true},
		"a 250 among 19": {5, func(i int, _ string) notice.Answer {
			if i%20 == 19 {
				return notice.Answer{Outcome: notice.OutcomeSent, Code: 250}
			}
			return denied(i, "")
		}, 0, false},
		"another code among 19": {5, func(i int, _ string) notice.Answer {
			if i%20 == 19 {
				return refuse(550, "5.7.1", "Relay access denied")
			}
			return denied(i, "")
		}, 0, false},
		"another text": {5, func(i int, _ string) notice.Answer {
			return refuse(554, "5.7.1", []string{"denied", "spam"}[i%2])
		}, 0, false},
		"4xx among them": {5, func(i int, _ string) notice.Answer {
			if i%2 == 1 {
				return notice.Answer{Outcome: notice.OutcomeLater, Code: 451}
			}
			return denied(i, "")
		}, 39, true},
		"another step": {5, func(i int, _ string) notice.Answer {
			a := denied(i, "")
			a.Command = []string{"RCPT", "the end of the message"}[i%2]
			return a
		}, 0, false},
		"without a reply": {5, func(int, string) notice.Answer { return notice.Answer{Outcome: notice.OutcomeNever} }, 0, false},
	} {
		b := &brake{after: brakeAfter, late: brakeLate, broad: brakeBroad, rows: map[int64]*refusals{}}
		now, held := time.Now(), 0
		for i := range 150 {
			to, err := audience.ParseAddress(fmt.Sprintf("m%d@d%d.example", i, i%c.domains))
			if err != nil {
				t.Fatal(err)
			}
			r, first, hold := b.heard(7, to, c.answer(i, to.Wire()), now.Add(time.Duration(i)*time.Millisecond))
			if !hold || held > 0 {
				continue
			}
			if held = i + 1; r.Broad != c.broad || !first.Equal(now) {
				t.Errorf("%s: %+v since %v", name, r, first.Sub(now))
			}
		}
		if held != c.holds {
			t.Errorf("%s: holds at %d, want %d", name, held, c.holds)
		}
	}
}
