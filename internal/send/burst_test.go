package send

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// match feeds a burst of a dot and the next envelope with replies, of which nothing follows.
func match(codes ...int) *burst {
	var b burst
	b.expect(cmdDot, cmdMAIL, cmdRCPT, cmdDATA)
	for _, code := range codes {
		b.take(reply{code: code, text: "text"})
	}
	return &b
}

func TestABurstIsMatchedAndNotCounted(t *testing.T) {
	t.Parallel()
	const sent, later, never, uncertain = notice.OutcomeSent, notice.OutcomeLater, notice.OutcomeNever, notice.OutcomeUncertain
	for _, c := range []struct {
		name     string
		codes    []int
		want     notice.Outcome
		accepted bool
		lone     bool
	}{
		{"all is well", []int{250, 250, 250, 354}, sent, true, false},
		{"the mail is refused, the next is taken", []int{554, 250, 250, 354}, never, true, false},
		{"the mail is deferred", []int{451, 250, 250, 354}, later, true, false},
		{"the next sender is refused", []int{250, 550, 503, 503}, sent, false, false},
		{"the next recipient is refused", []int{250, 250, 550, 554}, sent, false, false},
		{"the next DATA is refused", []int{250, 250, 250, 451}, sent, false, false},
		{"354 for nobody", []int{250, 250, 550, 354}, sent, false, true},
		{"354 without MAIL", []int{250, 550, 503, 354}, uncertain, false, false},
		{"RCPT taken without MAIL", []int{250, 550, 250, 354}, uncertain, false, false},
		{"nothing", nil, uncertain, false, false},
		{"it ends after the dot", []int{250}, sent, false, false},
		{"it ends after MAIL", []int{250, 250}, sent, false, false},
		{"421 to the next MAIL", []int{250, 421}, sent, false, false},
		{"421 to all that follows", []int{250, 421, 421, 421}, sent, false, false},
		{"421 to the dot", []int{421}, later, false, false},
		{"421 to the dot, and more", []int{421, 250}, uncertain, false, false},
		{"421 to everything", []int{421, 421, 421, 421}, uncertain, false, false},
		{"a 250 too many before", []int{250, 451, 250, 250, 354}, uncertain, false, false},
		{"a 250 too many behind", []int{250, 250, 250, 250}, uncertain, false, false},
		{"one reply too many", []int{250, 250, 250, 354, 250}, uncertain, false, false},
		{"the dot was passed over", []int{250, 250, 354}, uncertain, false, false},
		{"354 to the dot", []int{354, 250, 250, 354}, uncertain, false, false},
	} {
		b := match(c.codes...)
		if a := b.verdict(io.EOF); a.Outcome != c.want || a.NoDot || b.accepted() != c.accepted || b.lone() != c.lone {
			t.Errorf("%s, %v: %+v, accepted %v, lone %v", c.name, c.codes, a, b.accepted(), b.lone())
		}
	}
}

// TestNoWrongStreamOfRepliesIsTakenForSent: each relay here does one thing wrong. It says something that it was not
// asked, or leaves something out.
func TestNoWrongStreamOfRepliesIsTakenForSent(t *testing.T) {
	t.Parallel()
	streams := 0
	for _, dot := range []int{250, 451, 554} {
		for _, mail := range []int{250, 450, 550} {
			for _, rcpt := range []int{250, 450, 550} {
				for _, data := range []int{354, 451, 554} {
					honest := []int{dot, mail, rcpt, data}
					if mail != 250 {
						honest[2] = 503
					}
					if honest[2] != 250 {
						honest[3] = 503
					}
					wrong := [][]int{honest}
					for at := range honest {
						wrong = append(wrong, slices.Delete(slices.Clone(honest), at, at+1))
						for _, code := range []int{250, 354, 450, 550} {
							wrong = append(wrong, slices.Insert(slices.Clone(honest), at, code))
						}
					}
					for i, codes := range wrong {
						streams++
						a := match(codes...).verdict(io.EOF)
						if i == 0 && a.Outcome == notice.OutcomeUncertain {
							t.Errorf("%v is uncertain", codes)
						}
						// A stream that lacks its end may be one that lacks its beginning: one sees only that the relay
						// broke off.
						if a.Outcome == notice.OutcomeSent && dot != 250 && len(codes) >= len(honest) {
							t.Errorf("%v is taken for sent, and the dot was answered %d", codes, dot)
						}
					}
				}
			}
		}
	}
	t.Logf("%d streams", streams)
}

// TestABurstSettlesOnce: however a stream of replies is cut into pieces, it comes to the same.
func TestABurstSettlesOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		codes := rapid.SliceOfN(rapid.SampledFrom([]int{220, 250, 251, 334, 354, 421, 450, 451, 503, 550, 554}), 0, 7).Draw(rt, "codes")
		b := match(codes...)
		a := b.verdict(io.EOF)
		switch {
		case a.Outcome == notice.OutcomeSent && (len(codes) == 0 || codes[0]/100 != 2 || len(codes) > 4):
			rt.Fatalf("%v is sent", codes)
		case b.accepted() && (len(codes) != 4 || codes[3] != 354 || codes[1]/100 != 2 || codes[2]/100 != 2):
			rt.Fatalf("%v: the relay is said to wait for a message", codes)
		case b.misfit != "" && (a.Outcome != notice.OutcomeUncertain || b.accepted() || b.lone()):
			rt.Fatalf("%v does not fit, and is %v", codes, a)
		case a.Outcome == 0 || a.NoDot:
			rt.Fatalf("%v is %+v", codes, a)
		}
	})
}

func FuzzBurst(f *testing.F) {
	for _, s := range []string{"250 ok\r\n250 ok\r\n250-a\r\n250 b\r\n354 go\r\n", "421 bye\r\n", "250 ok\r\n354", "250 2.0.0 a\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b burst
		b.expect(cmdDot, cmdMAIL, cmdRCPT, cmdDATA)
		r := bufio.NewReader(strings.NewReader(string(in)))
		var err error
		for err == nil {
			var one reply
			if one, err = readReply(r); err == nil {
				b.take(one)
			}
		}
		a := b.verdict(err)
		if a.Outcome == notice.OutcomeSent && (len(in) == 0 || in[0] != '2') {
			t.Errorf("%q is sent", in)
		}
		if b.accepted() && !strings.Contains(string(in), "354") {
			t.Errorf("%q: the relay is said to wait for a message", in)
		}
	})
}
