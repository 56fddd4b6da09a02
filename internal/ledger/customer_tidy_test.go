package ledger_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestCustomersOfAnEarlierVersionAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key, attributes) VALUES
		('a', 'old', 'bad@x.example', 'shared@x.example', '{"plan": "old", "gone": "old"}'),
		('b', 'new', 'shared@x.example', 'shared@x.example', '{"plan": "new"}'), ('old', '', '', '', '{}')`)
	tidy := func(c notice.StoredCustomer) notice.StoredCustomer {
		c.Name, c.Attributes = strings.ReplaceAll(c.Name, "old", "new"), map[string]string{"plan": "new"}
		if c.ID == "old" {
			c.Attributes = map[string]string{}
		}
		if strings.HasPrefix(c.Email, "bad") {
			c.EmailKey, c.EmailFault = "", "is bad"
		}
		return c
	}
	for _, want := range []int{1, 0} {
		if n, err := d.TidyCustomers(t.Context(), tidy); err != nil || n != want {
			t.Fatalf("%d customers changed, want %d: %v", n, want, err)
		}
	}
	// The address that is refused takes the mail from nobody else at its mailbox.
	p, err := d.Plan(t.Context(), anybody)
	if err != nil {
		t.Fatal(err)
	}
	refused := []notice.CustomerFault{{Subject: "a", Field: "email", Reason: "is bad"}}
	if diff := cmp.Diff(refused, p.Refused); diff != "" || p.Suppressed["no_address"] != 2 || p.Recipients != 3 {
		t.Errorf("%+v (-want +got):\n%s", p, diff)
	}
	d.exec(`INSERT INTO incident (key, kind) VALUES ('i', 'outage')`)
	d.exec(`INSERT INTO notice (key, incident_id, body, texts, message_token) SELECT k, id, '{}', '{}', k FROM incident, unnest('{Key,key,other}'::text[]) k`)
	faults, err := d.CustomerFaults(t.Context(), 10, func(id string) string {
		if id == "old" {
			return "is old"
		}
		return ""
	})
	want := append(refused, notice.CustomerFault{Subject: "old", Field: "id", Reason: "is old"},
		notice.CustomerFault{Subject: "key", Field: "key", Reason: "differs by case alone from notice Key"})
	if diff := cmp.Diff(want, faults); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// A customer with a corrected address has a mailbox again.
	row := notice.CustomerRow{Given: notice.GivenEmail, Customer: notice.Customer{ID: "a", Email: "a@x.example"}, EmailKey: "a@x.example"}
	if _, err := d.PatchCustomer(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Plan(t.Context(), anybody); err != nil || len(p.Refused) != 0 || p.Suppressed["no_address"] != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestCustomersAreListedAndFound(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	db.put(t, notice.Customer{ID: "1", Name: "Ann Lee", Email: "Ann@x.example"}, notice.Customer{ID: "2", AlternateEmail: "ann@x.example"},
		notice.Customer{ID: "3", Attributes: map[string]string{"server": "S639%"}}, notice.Customer{ID: "10"})
	for name, c := range map[string]struct {
		page notice.CustomerPage
		want string
	}{
		"the first page":   {notice.CustomerPage{Limit: 2}, "1 10"},
		"the next one":     {notice.CustomerPage{Limit: 2, After: "10"}, "2 3"},
		"behind the end":   {notice.CustomerPage{Limit: 2, After: "3"}, ""},
		"a part of a name": {notice.CustomerPage{Limit: 9, Text: "nn lE"}, "1"},
		"of an address":    {notice.CustomerPage{Limit: 9, Text: "ANN@"}, "1 2"},
		"of an attribute":  {notice.CustomerPage{Limit: 9, Text: "639%"}, "3"},
		"no pattern":       {notice.CustomerPage{Limit: 9, Text: "6%9"}, ""},
		"an address":       {notice.CustomerPage{Limit: 9, AddressKey: "ann@x.example"}, "1 2"},
		"a zero byte":      {notice.CustomerPage{Limit: 9, Text: "\x00"}, ""},
	} {
		all, err := db.Customers(t.Context(), c.page)
		var ids []string
		for _, one := range all {
			ids = append(ids, one.ID)
		}
		if got := strings.Join(ids, " "); got != c.want || err != nil {
			t.Errorf("%s: %s, want %s, %v", name, got, c.want, err)
		}
	}
}
