package delivery

import (
	"bytes"
	"context"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/internal/send"
	"tocsin/internal/sink"
)

type atOnce struct{}

func (atOnce) Ask() {}
func (atOnce) Wait(context.Context) (time.Time, error) {
	return time.Now().Add(time.Minute), nil
}

// anyAddress draws texts that may be addresses: of all kinds of characters, in quotes and not, with all kinds of
// domains.
var anyAddress = rapid.Custom(func(t *rapid.T) string {
	local := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9!#$%&'*+/=?^_{|}~.-]{1,12}`),
		rapid.StringMatching("[a-z.\u00e9\u0301ß”’äΣ\u200d漢가ｱ;\u037e]{1,10}"),
		rapid.StringMatching(`"([ -!#-\[\]-~]|\\[ -~]){1,10}"`),
		rapid.String(),
	).Draw(t, "local")
	domain := rapid.OneOf(
		rapid.SampledFrom([]string{"example.com", "example.com.", "EXAMPLE.com。", "ab--cd.example", "xn--mnchen-3ya.example", "münchen.example",
			"a.b-c.d0", "faß.example", "example．com", "[192.0.2.1]", "1.2.3.4", "x_y.example", "例え.テスト", "a\u200db.example", "r3---sn-x.example"}),
		rapid.StringMatching(`[a-z0-9-]{1,10}(\.[a-zé0-9-]{1,6}){1,3}\.?`),
	).Draw(t, "domain")
	return local + "@" + domain
})

// TestAcceptedAddressesCanBeSent renders and sends a mail to every address that an import takes, through a real
// connection.
func TestAcceptedAddressesCanBeSent(t *testing.T) {
	t.Parallel()
	s := sink.New(sink.Options{})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	go s.Serve(t.Context())
	t.Cleanup(func() { s.Close() })
	relay, err := send.ParseRelay("smtp://" + s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	pool := send.New([]send.Relay{relay}, send.Options{})
	t.Cleanup(func() { pool.Close() })
	program := newStage(t).program
	n := 0
	deliver := func(t interface{ Fatalf(string, ...any) }, text string) {
		c := notice.Customer{ID: "1", Email: text}
		row, err := audience.CheckCustomer(&c)
		if err != nil {
			return
		}
		kept, err := audience.ParseAddress(row.Customer.Email)
		if err != nil || kept.Key() != row.EmailKey {
			t.Fatalf("%q was taken as %q, which is none: %v", text, row.Customer.Email, err)
		}
		n++
		stamp := render.Stamp{MessageID: fmt.Sprintf("<%d@test>", n), NoticeKey: "n1", Date: time.Now()}
		// As a worker does: from the spelling that was frozen, and from the key that an erasure leaves behind.
		for _, spelling := range []string{kept.Text, kept.Key()} {
			a, err := audience.ParseAddress(spelling)
			if err != nil {
				t.Fatalf("%q: %v", spelling, err)
			}
			raw, err := program.Render(nil, notice.Recipient{Address: a.Wire(), Customers: []notice.Frozen{{ID: "1"}}}, "en", stamp)
			if err != nil {
				t.Fatalf("render for %q: %v", a.Wire(), err)
			}
			parsed, err := mail.ReadMessage(bytes.NewReader(raw))
			if err != nil {
				t.Fatalf("the mail for %q: %v", a.Wire(), err)
			}
			to, err := parsed.Header.AddressList("To")
			if err != nil || len(to) != 1 {
				t.Fatalf("To of the mail for %q is %q: %v", a.Wire(), parsed.Header.Get("To"), err)
			}
			answer, err := pool.Send(context.Background(), notice.Mail{From: "status@example.net", To: a.Wire(), Raw: raw}, atOnce{})
			scripted := strings.Contains(answer.Text, "No such mailbox") // the sink plays its scripts
			if err != nil || answer.Outcome != notice.OutcomeSent && !scripted {
				t.Fatalf("send to %q: %+v, %v", a.Wire(), answer, err)
			}
		}
	}
	for _, text := range []string{"user@example.com.", "a@ab--c.example", "Jörg@münchen.example.", `"ann lee"@example.com`, "a@例え.テスト"} {
		before := n
		if deliver(t, text); n == before {
			t.Errorf("%q is refused", text)
		}
	}
	drawn, listed := 0, n
	rapid.Check(t, func(t *rapid.T) {
		drawn++
		deliver(t, anyAddress.Draw(t, "address"))
	})
	t.Logf("%d of %d addresses were taken", n-listed, drawn)
	if (n-listed)*10 < drawn {
		t.Errorf("only %d of %d addresses were taken: hardly anything was tried", n-listed, drawn)
	}
}
