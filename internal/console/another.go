package console

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// erased stands in a delivery for a customer who was erased.
const erased = "(erased)"

// anotherForm asks for another address of a customer of a notice.
type anotherForm struct {
	*Frame
	Path      string
	Customers []string
}

// Another is the form below the mail of an entry. It is nil where no customer is known, and for a reader who may not send.
func (f *Frame) Another(e notice.HistoryEntry) *anotherForm {
	if f == nil || !f.Person.May(string(notice.RoleSender)) {
		return nil
	}
	known := slices.DeleteFunc(slices.Clone(e.Delivery.Customers), func(id string) bool { return id == erased })
	if len(known) == 0 {
		return nil
	}
	return &anotherForm{f, fmt.Sprintf("/notices/%s/mails/%d/another", e.Key, e.Delivery.Seq), known}
}

// anotherView is the page before a notice is sent to another address: the mail that it will make, or why it makes none.
type anotherView struct {
	*Frame
	First    notice.HistoryEntry // the customer's own mail
	Customer string
	Address  string
	Others   []string            // customers who have the address, and are not this one
	Has      notice.HistoryEntry // the mail of the notice that the mailbox has; the zero value: it has none
	Wrong    string
	Said     string // more about it, in English
	Ready    bool   // it can be sent
}

// another asks whether a notice is to be sent to another address, and sends it once the reader is sure. The address comes in the body
// of the request, never in its URL. A repeated request leads to the mail that the first one made.
func (c *Console) another(w http.ResponseWriter, r *http.Request) {
	v, err := c.anotherView(r)
	if err == nil && v.Ready && r.PostFormValue("sure") != "" {
		who, _ := notice.Pressed(r.Context())
		var added notice.Added
		if added, err = c.Desk.AddAddress(r.Context(), v.First.Key, notice.Adding{Customer: v.Customer, Address: v.Address}, who); err == nil {
			http.Redirect(w, r, fmt.Sprintf("/notices/%s/mails/%d", added.Key, added.Seq), http.StatusSeeOther)
			return
		}
	}
	switch code := notice.CodeOf(err); {
	case err == nil && v.Ready:
		c.render(w, r, http.StatusOK, "another", v)
		return
	case err == nil:
		c.render(w, r, http.StatusUnprocessableEntity, "another", v)
		return
	case v != nil && (code == notice.CodeConflict || code == notice.CodeInvalid):
		refused := v.refusal(err)
		v.Wrong, v.Said, v.Ready = refused.Text, refused.Said, false
		c.render(w, r, http.StatusConflict, "another", v)
		return
	}
	c.fail(w, r, err)
}

// anotherView looks at the customer's mail and at the mailbox of the new address.
func (c *Console) anotherView(r *http.Request) (*anotherView, error) {
	v := &anotherView{Frame: c.frame(r, "another.title"), Customer: r.PostFormValue("customer"), Address: strings.TrimSpace(r.PostFormValue("address"))}
	mail, err := c.message(r)
	if err != nil {
		return nil, err
	}
	first, err := c.Desk.LookAt(r.Context(), mail.Key, mail.Seq)
	if err != nil {
		return nil, err
	}
	if len(first.Deliveries) == 0 || !slices.Contains(first.Deliveries[0].Delivery.Customers, v.Customer) || v.Customer == erased {
		return nil, notice.Invalid("customer", "does not stand on this mail")
	}
	v.First = first.Deliveries[0]
	there, err := c.Desk.Look(r.Context(), v.Address, mail.Key)
	if err != nil {
		return nil, err
	}
	for _, customer := range there.Customers {
		if customer.ID != v.Customer {
			v.Others = append(v.Others, customer.ID)
		}
	}
	switch {
	case there.ReadAs != notice.ReadAddress:
		v.Wrong, v.Others = v.T("another.bad"), nil
	case len(there.Deliveries) == 0:
		v.Ready = true
	default:
		v.Has = there.Deliveries[0]
		// The mail that was added for this customer is the one that a repeated request leads to.
		v.Ready = r.PostFormValue("sure") != "" && slices.Contains(v.Has.Delivery.Customers, v.Customer)
		v.Wrong = v.T("another.has")
	}
	return v, nil
}
