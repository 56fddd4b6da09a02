package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// fake is a Desk and a Book in memory.
type fake struct {
	mu         sync.Mutex
	notices    []*notice.Status
	bodies     map[int64]notice.Body
	deliveries []notice.Delivery // of every notice
	customers  map[string]notice.Customer
	who        string    // of the last decision
	key        string    // that History was asked for
	looked     [2]string // the text and the notice of the last search
	settled    notice.Settlement
	added      notice.Adding
	reconciled []ledger.Reconciliation
	relayed    []ledger.Relayed
	returned   [][]byte
	chosen     []string // by readers: token, topic and whether it was stopped
	unheld     notice.Unholding
	moved      notice.Moving
	how        notice.Releasing // of the last release
	approved   notice.Approving
	person     string // the last person to approve
	suppressed []notice.Suppression
	page       notice.CustomerPage      // that Customers was asked for
	patched    notice.CustomerRow       // by the last PATCH
	options    notice.ImportOptions     // of the last import
	fail       error                    // the error that the next calls return
	onRow      func(notice.CustomerRow) // hears every imported row
	keys       []ledger.Key
	acts       []notice.Act // the newest first
	holds      []notice.Hold
	webhooks   []notice.Webhook
	relays     []notice.Relay
	limits     []notice.DomainLimit
	span       time.Duration
	users      []notice.User
	link       [32]byte // of the last sign-in link
}

func newFake() *fake {
	return &fake{bodies: map[int64]notice.Body{}, customers: map[string]notice.Customer{}}
}

func (f *fake) lock() func() { f.mu.Lock(); return f.mu.Unlock }

func (f *fake) find(ref string) (*notice.Status, error) {
	for _, st := range f.notices {
		if st.Key == ref || strconv.FormatInt(st.Number, 10) == ref {
			return st, f.fail
		}
	}
	return nil, cmp.Or(f.fail, error(notice.NotFound("there is no notice %s", ref)))
}

func (f *fake) Draft(_ context.Context, b notice.Body, who string) (notice.Status, bool, error) {
	defer f.lock()()
	if f.fail != nil {
		return notice.Status{}, false, f.fail
	}
	f.who = who
	if st, err := f.find(b.Key); err == nil {
		if st.State.Released() && !reflect.DeepEqual(f.bodies[st.Number], b) {
			return notice.Status{}, false, notice.Conflict("%s has been released with another body", b.Key)
		}
		f.bodies[st.Number] = b
		return *st, false, nil
	}
	st := &notice.Status{Number: int64(len(f.notices) + 1), Key: b.Key, Kind: b.Kind, Phase: b.Phase, State: notice.Draft,
		CreatedAt: time.Date(2026, 11, 9, 3, 14, 7, 0, time.FixedZone("", 3600)), CreatedBy: who}
	f.notices = append(f.notices, st)
	f.bodies[st.Number] = b
	return *st, true, nil
}

func (f *fake) Preview(_ context.Context, b notice.Body, v notice.Previewing) (notice.Plan, error) {
	p := notice.Plan{Customers: 3, Recipients: 2, Filter: b.Audience.Filter}
	if v.Customer != "" {
		p.Asked = &notice.Asked{ID: v.Customer, Sample: &notice.Sample{Language: "nl"}}
		if v.Source {
			p.Asked.Sample.Source = "Subject: x\r\n\r\n"
		}
	}
	return p, f.fail
}

// aPlan is the digest of every draft's plan.
var aPlan = strings.Repeat("ab", 32)

func (f *fake) PreviewDraft(_ context.Context, ref string, _ notice.Previewing) (notice.Plan, error) {
	defer f.lock()()
	_, err := f.find(ref)
	return notice.Plan{Customers: 3, Recipients: 2, Digest: aPlan}, err
}

func (f *fake) ReviewDraft(ctx context.Context, ref string, v notice.Previewing) (notice.Plan, error) {
	p, err := f.PreviewDraft(ctx, ref, v)
	p.Digest, p.Draft = "", &notice.Body{Key: ref}
	return p, err
}

func (f *fake) Planning(_ context.Context, ref string) (int, bool, error) {
	defer f.lock()()
	_, err := f.find(ref)
	return 2, true, err
}

func (f *fake) decide(ref, who string, to notice.State) (notice.Status, error) {
	defer f.lock()()
	st, err := f.find(ref)
	if err != nil {
		return notice.Status{}, err
	}
	f.who, st.State = who, to
	return *st, nil
}

func (f *fake) Release(ctx context.Context, ref string, how notice.Releasing, who string) (notice.Status, bool, error) {
	was, err := f.State(ctx, ref)
	if err != nil || was.Released() {
		st, _ := f.Status(ctx, ref)
		return st, false, err
	}
	f.how = how
	if how.Plan != "" && how.Plan != aPlan {
		return notice.Status{}, false, &notice.Error{Code: notice.CodePlanChanged, Message: "look again",
			Drift: &notice.Drift{Added: 1, Lost: 2, Examples: map[string][]string{"added": {"c-3"}, "lost": {"x@example.com"}}}}
	}
	st, err := f.decide(ref, who, notice.Sending)
	return st, true, err
}

func (f *fake) Approve(ctx context.Context, ref string, a notice.Approving, who string) (notice.Status, bool, error) {
	f.approved, f.person = a, notice.Person(ctx)
	return f.Release(ctx, ref, notice.Releasing{Plan: a.Plan, Allow: a.Allow}, who)
}

func (f *fake) Pause(_ context.Context, ref, who string) (notice.Status, error) {
	return f.decide(ref, who, notice.Paused)
}

func (f *fake) Resume(_ context.Context, ref string, _ notice.Resuming, who string) (notice.Status, error) {
	return f.decide(ref, who, notice.Sending)
}

func (f *fake) DeleteDraft(_ context.Context, ref, who string) error {
	defer f.lock()()
	st, err := f.find(ref)
	if err != nil {
		return err
	}
	if st.State.Released() {
		return notice.Conflict("only a draft can be deleted")
	}
	f.who, f.notices = who, slices.DeleteFunc(f.notices, func(n *notice.Status) bool { return n == st })
	return nil
}

func (f *fake) SendNow(_ context.Context, ref, who string) (notice.Status, error) {
	return f.decide(ref, who, notice.Sending)
}

func (f *fake) TakeBack(_ context.Context, ref, who string) (notice.Status, error) {
	return f.decide(ref, who, notice.Draft)
}

func (f *fake) Move(_ context.Context, ref string, m notice.Moving, who string) (notice.Status, error) {
	f.moved = m
	return f.decide(ref, who, notice.Scheduled)
}

func (f *fake) Cancel(_ context.Context, ref, who string) (notice.Status, error) {
	return f.decide(ref, who, notice.Cancelled)
}

func (f *fake) Unhold(_ context.Context, ref string, u notice.Unholding, who string) (notice.Status, error) {
	st, err := f.Status(context.Background(), ref)
	f.unheld, f.who = u, who
	return st, err
}

func (f *fake) AddAddress(_ context.Context, ref string, a notice.Adding, who string) (notice.Added, error) {
	defer f.lock()()
	st, err := f.find(ref)
	if err != nil {
		return notice.Added{}, err
	}
	f.who, f.added = who, a
	return notice.Added{Number: st.Number, Key: st.Key, Seq: 7, Of: 2, Answer: "Not yet", Created: true}, nil
}

func (f *fake) Settle(_ context.Context, ref string, s notice.Settlement, who string) (notice.Settled, error) {
	defer f.lock()()
	_, err := f.find(ref)
	f.settled, f.who = s, who
	return notice.Settled{Changed: 1}, err
}

func (f *fake) Test(_ context.Context, b notice.Body, to, who string) (map[string]notice.Answer, error) {
	defer f.lock()()
	f.who = who
	return map[string]notice.Answer{
		"nl": {Outcome: notice.OutcomeLater, Relay: "main", Code: 451, Text: "try later"},
		"en": {Outcome: notice.OutcomeSent, Relay: "main", Code: 250, Enhanced: "2.0.0", Text: "OK " + to},
	}, f.fail
}

func (f *fake) Notices(_ context.Context, p notice.Page) (all []notice.Status, err error) {
	defer f.lock()()
	for _, st := range slices.Backward(f.notices) {
		if (p.Before == 0 || st.Number < p.Before) && len(all) < p.Limit {
			all = append(all, *st)
		}
	}
	return all, f.fail
}

func (f *fake) Status(_ context.Context, ref string) (notice.Status, error) {
	defer f.lock()()
	st, err := f.find(ref)
	if err != nil {
		return notice.Status{}, err
	}
	return *st, nil
}

func (f *fake) State(ctx context.Context, ref string) (notice.State, error) {
	st, err := f.Status(ctx, ref)
	return st.State, err
}

func (f *fake) Deliveries(_ context.Context, _ int64, p notice.DeliveryPage) (page []notice.Delivery, err error) {
	for _, d := range f.deliveries {
		if d.Seq > p.After && len(page) < p.Limit && (p.State == nil || d.State == *p.State) &&
			(p.Search == "" || p.Search == d.Address || slices.Contains(d.Customers, p.Search)) {
			page = append(page, d)
		}
	}
	return page, f.fail
}

func (f *fake) Report(ctx context.Context, ref string) (r notice.Report, err error) {
	st, err := f.Status(ctx, ref)
	if err != nil {
		return r, err
	}
	r = notice.NewReport([]notice.Status{st})
	for _, d := range f.deliveries {
		r.Add(d.Language, notice.Outcomes{State: d.State, Count: 1, Reason: d.Reason})
	}
	return r, nil
}

func (f *fake) IncidentReport(ctx context.Context, incident string) (r notice.Report, err error) {
	all, err := f.Notices(ctx, notice.Page{Limit: len(f.notices)})
	slices.Reverse(all)
	all = slices.DeleteFunc(all, func(st notice.Status) bool { return st.Incident != incident })
	if err == nil && len(all) == 0 {
		err = notice.NotFound("there is no notice of an incident %q", incident)
	}
	return notice.NewReport(all), err
}

func (f *fake) EachDelivery(_ context.Context, _ int64, state *notice.DeliveryState, fn func(notice.Delivery) error) error {
	for _, d := range f.deliveries {
		if state != nil && d.State != *state {
			continue
		}
		if err := fn(d); err != nil {
			return err
		}
	}
	return f.fail
}

func (f *fake) Message(_ context.Context, ref string, seq int) (notice.Message, error) {
	st, err := f.find(ref)
	if err != nil {
		return notice.Message{}, err
	}
	m := notice.Message{Number: st.Number, Key: st.Key, Seq: seq, Proof: notice.ProofSame, Source: "Subject: x\r\n\r\n"}
	if seq > 0 {
		m.Proof, m.Why, m.Source = notice.ProofErased, "erased", ""
	}
	return m, nil
}

func (f *fake) LookAt(ctx context.Context, ref string, _ int) (notice.Found, error) {
	return f.Look(ctx, "", ref)
}

func (f *fake) Look(_ context.Context, text, ref string) (found notice.Found, err error) {
	f.looked = [2]string{text, ref}
	if ref != "" {
		if _, err := f.find(ref); err != nil {
			return found, err
		}
	}
	found = notice.Found{ReadAs: notice.ReadAddress, Verdict: notice.VerdictYes, Answer: "Yes"}
	for _, d := range f.deliveries {
		if strings.EqualFold(d.Address, text) || slices.Contains(d.Customers, text) {
			found.Deliveries = append(found.Deliveries, notice.HistoryEntry{Number: 1, Key: "k", Delivery: d})
		}
	}
	if len(found.Deliveries) == 0 {
		found.Deliveries = []notice.HistoryEntry{{Number: 1, Key: "k", Delivery: notice.Delivery{Seq: 1, Address: text}}}
	}
	return found, nil
}

func (f *fake) Subjects(_ context.Context, entries []notice.HistoryEntry) error {
	for i := range entries {
		entries[i].Subject = "as it is read"
	}
	return nil
}

func (f *fake) History(_ context.Context, _, key string) ([]notice.HistoryEntry, error) {
	f.key = key
	return []notice.HistoryEntry{{Number: 1, Key: "k", Delivery: notice.Delivery{Address: "a@example.org"}}}, f.fail
}

func (f *fake) Customer(_ context.Context, id string) (notice.Customer, error) {
	c, ok := f.customers[id]
	if !ok {
		return c, cmp.Or(f.fail, error(notice.NotFound("there is no such customer")))
	}
	return c, nil
}

func (f *fake) PutCustomer(_ context.Context, row notice.CustomerRow) (notice.Customer, bool, error) {
	_, known := f.customers[row.Customer.ID]
	f.customers[row.Customer.ID] = row.Customer
	return row.Customer, !known, f.fail
}

func (f *fake) PatchCustomer(ctx context.Context, row notice.CustomerRow) (notice.Customer, error) {
	f.patched = row
	return f.Customer(ctx, row.Customer.ID)
}

func (f *fake) Customers(_ context.Context, p notice.CustomerPage) (page []notice.Customer, err error) {
	f.page = p
	for _, id := range slices.Sorted(maps.Keys(f.customers)) {
		if id > p.After && len(page) < p.Limit {
			page = append(page, f.customers[id])
		}
	}
	return page, f.fail
}

func (f *fake) AttributeNames(context.Context) ([]string, error) { return []string{"plan"}, f.fail }

func (f *fake) CustomerFaults(_ context.Context, _ int, judge func(string) string) (all []notice.CustomerFault, err error) {
	for id := range f.customers {
		if reason := judge(id); reason != "" {
			all = append(all, notice.CustomerFault{Subject: id, Field: "id", Reason: reason})
		}
	}
	return all, f.fail
}

func (f *fake) DeleteCustomer(ctx context.Context, id string) error {
	_, err := f.Customer(ctx, id)
	delete(f.customers, id)
	return err
}

func (f *fake) ImportCustomers(_ context.Context, rows ledger.CustomerRows, o notice.ImportOptions) (r notice.ImportReport, err error) {
	for {
		row, bad, err := rows.Next()
		if errors.Is(err, io.EOF) {
			if o.KeepsNothing(r) {
				r.Inserted = 0
			}
			f.options = o
			return r, f.fail
		}
		if err != nil {
			return r, err
		}
		r.Read++
		if bad != nil {
			r.Reject(*bad)
			continue
		}
		r.Inserted++
		if f.onRow != nil {
			f.onRow(row)
		}
	}
}
