package console

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// Answer says in a sentence whether they got it, in the reader's language and zone. about is the notice that was asked about, "" for the newest.
func (f *Frame) Answer(found notice.Found, about string) string {
	if len(found.Deliveries) > 0 {
		return f.Arrived(found.Deliveries[0].Delivery)
	}
	switch found.Verdict {
	case notice.VerdictNoCustomer:
		if found.ReadAs == notice.ReadAddress {
			return f.T("answer.no_address")
		}
		return f.T("answer.no_customer")
	case notice.VerdictSeveral:
		return f.T("answer.several", f.N(len(found.Customers)))
	case notice.VerdictNoNotice:
		return f.T("answer.no_notice")
	case notice.VerdictNotYet:
		return f.T("answer.not_released", about)
	case notice.VerdictRowsDropped:
		return f.T("answer.dropped", about)
	case notice.VerdictNotInvited:
		return f.T("answer.outside", f.outside(found.Outside))
	}
	return f.T("answer.no_message")
}

// Arrived says whether a mail arrived, and why not, as HistoryEntry.DidItArrive does in English.
func (f *Frame) Arrived(d notice.Delivery) string {
	said := strings.TrimSpace(d.SMTPText)
	if d.SMTPCode != 0 {
		said = f.T("answer.said", d.Relay, strings.TrimSpace(strconv.Itoa(d.SMTPCode)+" "+strings.TrimSpace(d.Enhanced+" "+said)))
	}
	when := d.UpdatedAt
	switch d.State {
	case notice.DeliverySent:
		if d.SentAt != nil {
			when = *d.SentAt
		}
		text := f.T("answer.yes", f.At(when), cmp.Or(said, f.T("answer.log")))
		if d.DeliveredAt != nil {
			text += "; " + f.T("answer.delivered", cmp.Or(d.DeliveredBy, f.T("answer.their_server")), f.At(*d.DeliveredAt))
		}
		return text
	case notice.DeliveryUncertain:
		return f.T("answer.unknown", f.At(when))
	case notice.DeliveryQueued:
		return f.T("answer.queued")
	case notice.DeliverySending:
		return f.T("answer.sending")
	case notice.DeliveryDeferred:
		return f.T("answer.deferred", f.At(when), cmp.Or(said, f.T("answer.no_relay")))
	case notice.DeliveryBounced:
		return f.T("answer.bounced", f.At(when), cmp.Or(strings.Trim(f.Reason(d.Reason)+", "+said, ", "), f.T("answer.no_reason")))
	case notice.DeliveryFailed:
		return f.T("answer.failed", f.At(when), cmp.Or(strings.Trim(f.Reason(d.Reason)+", "+said, ", "), f.State(d.State)))
	}
	return f.T("answer.no", cmp.Or(f.Reason(d.Reason), f.State(d.State)))
}

// outside says why a customer is not in an audience.
func (f *Frame) outside(o *notice.Outside) string {
	if o == nil {
		return "–"
	}
	switch o.Why {
	case notice.OutsideNotice:
		return f.T("outside.notice", o.Notice)
	case notice.OutsideList:
		return f.T("outside.list")
	case notice.OutsideThen:
		return f.T("outside.then")
	}
	var has []string
	for _, field := range o.Has {
		if field.Value == "" {
			has = append(has, f.T("outside.none", field.Name))
			continue
		}
		has = append(has, field.Name+" = "+field.Value)
	}
	return f.T("outside.filter", strings.Join(has, ", "), o.Filter)
}

// Time is At of a time that may lack.
func (f *Frame) Time(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return f.At(*t)
}

// At is a time in the reader's zone, as text.
func (f *Frame) At(t time.Time) string {
	if f == nil || f.Zone == nil {
		return "–"
	}
	return t.In(f.Zone).Format("2006-01-02 15:04:05 MST")
}
