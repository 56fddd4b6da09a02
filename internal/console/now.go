package console

import (
	"net/http"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// nowView is how everything stands: the notices under way, and the matters that need a decision.
type nowView struct {
	*Frame
	Decisions []decision
	Notices   []underWay
	Pace      *notice.Pace // nil: nothing is known of workers
	Holds     []notice.Hold
}

// underWay is a notice that is not finished.
type underWay struct {
	noticeRow
	Rate  float64 // mails taken per second, lately
	Left  time.Duration
	Brake string // why it does not go faster
}

// heardEvery is how exactly the page says when a worker was heard.
const heardEvery = 30 * time.Second

// decision is a matter that waits for a person.
type decision struct {
	Text, Path string
	Grave      bool
}

func (c *Console) now(r *http.Request) (view, error) {
	ctx, v := r.Context(), &nowView{Frame: c.frame(r, "now.title")}
	open, err := c.Book.Notices(ctx, notice.Page{Unfinished: true, Limit: noticesPage})
	if err != nil {
		return nil, err
	}
	if v.Holds, err = c.Book.Holds(ctx); err != nil {
		return nil, err
	}
	if c.Pace != nil {
		if v.Pace, err = c.Pace(ctx); err != nil {
			return nil, err
		}
		for i, w := range v.Pace.Alive { // each is heard all the time: that is no news
			v.Pace.Alive[i].HeardAt = w.HeardAt.Truncate(heardEvery)
		}
	}
	senders, err := c.Book.Senders(ctx)
	if err != nil {
		return nil, err
	}
	for _, st := range open {
		st.Pace, st.Disagree = v.Pace, senders.Disagree
		row := underWay{noticeRow: noticeRow{st, bar(st.Counts, st.Recipients)}, Brake: v.brake(st)}
		if st.State == notice.Sending {
			row.Rate = c.speeds.of(st, v.Now)
			if row.Rate > 0 {
				row.Left = time.Duration(float64(row.Open()) / row.Rate * float64(time.Second)).Round(time.Second)
			}
		}
		v.Notices = append(v.Notices, row)
	}
	recent, err := c.Book.Notices(ctx, notice.Page{Limit: noticesPage})
	if err != nil {
		return nil, err
	}
	v.decide(open, recent, senders.Disagree)
	return v, nil
}

// decide collects the matters that need a decision, the gravest first.
func (v *nowView) decide(open, recent []notice.Status, disagree string) {
	grave := func(path, text string, args ...any) {
		v.Decisions = append(v.Decisions, decision{v.T(text, args...), path, true})
	}
	if disagree != "" {
		grave("", "now.disagree", disagree)
	}
	waiting := false
	for _, st := range open {
		waiting = waiting || st.State == notice.Sending
		if st.State == notice.Held && st.HeldUntil == nil {
			grave("/notices/"+st.Key, "now.held", st.Key, v.Reason(st.Reason))
		}
	}
	if v.Pace != nil && !v.Pace.Unheard {
		if waiting && v.Pace.Workers == 0 {
			grave("", "brake.no_worker")
		}
		for _, r := range v.Pace.Relays {
			if r.Rest == nil && r.State != notice.RelayUp && r.State != notice.RelayUsedUp {
				grave("", "now.relay", r.Relay, r.Worker, v.term("relay", r.State), r.Error)
			}
		}
	}
	for _, st := range recent {
		if asked := st.AwaitingApproval; asked != nil {
			v.Decisions = append(v.Decisions, decision{v.T("now.approval", st.Key, asked.AskedBy, v.N(asked.Recipients)), "/notices/" + st.Key, false})
		}
		if n := st.Counts[notice.DeliveryUncertain.String()]; n > 0 && st.RowsDroppedAt == nil {
			v.Decisions = append(v.Decisions, decision{v.T("now.uncertain", st.Key, v.N(n)), "/notices/" + st.Key + "/mails?state=uncertain", false})
		}
	}
	for _, st := range open {
		if st.State == notice.Paused {
			v.Decisions = append(v.Decisions, decision{v.T("now.paused", st.Key), "/notices/" + st.Key, false})
		}
	}
}

// brake says why the mails of a notice do not leave, or not as fast as they could; "" where nothing is known.
func (f *Frame) brake(st notice.Status) string {
	b := st.Brake()
	if b == nil {
		return ""
	}
	switch b.Why {
	case notice.BrakeHeld:
		return f.Reason(st.Reason)
	case notice.BrakeScheduled:
		if st.SendAt == nil {
			return ""
		}
		return f.T("brake.scheduled", f.At(*st.SendAt))
	case notice.BrakeDisagree, notice.BrakeNoWorker, notice.BrakePaused:
		return f.T("brake." + b.Why)
	case notice.BrakeSilent, notice.BrakeUnreachable:
		return f.T("brake."+b.Why, b.Relay, b.Error)
	case notice.BrakeQuota:
		return f.T("brake.quota", b.Relay, f.N(b.Quota.PerDay), f.At(*b.Quota.Until))
	case notice.BrakeRest:
		return f.T("brake.rest", b.Relay, f.rest(*b.Rest))
	case notice.BrakeDeferred:
		return f.T("brake.deferred", f.N(b.Deferred))
	case notice.BrakeThrottled:
		return f.T("brake.throttled", strings.Trim(b.Throttled.Domain+" / "+b.Throttled.Relay, " /"), f.Speed(b.Throttled.RatePerS))
	}
	var all []string
	for _, l := range b.Limited {
		all = append(all, f.limit(l))
	}
	return f.List(all)
}

// limit says a limit that holds mails up.
func (f *Frame) limit(l notice.Limited) string {
	switch {
	case l.Relay != "":
		return f.T("brake.rate_of_relay", notice.Rate(l.RatePerS), l.Relay)
	case l.Connections > 0:
		return f.T("brake.connections", f.N(l.Connections), l.Domain)
	}
	return f.T("brake.rate_of_domain", notice.Rate(l.RatePerS), l.Domain)
}

// rest says until when an operator lets a relay rest, who, and why.
func (f *Frame) rest(r notice.Rest) string {
	until := f.T("detail.until_resumed")
	if r.Until != nil {
		until = f.T("detail.until", f.At(*r.Until))
	}
	text := until + ", " + r.By
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// RestOf says until when an operator lets a relay rest, who, and why.
func (f *Frame) RestOf(r notice.Rest) string { return f.rest(r) }

// Relay is the name of the state of a relay.
func (f *Frame) Relay(state string) string { return f.term("relay", state) }

// Rest says until when an operator lets a relay rest, "" where it does not.
func (f *Frame) Rest(r notice.RelayHealth) string {
	if r.Rest == nil {
		return r.Error
	}
	return f.rest(*r.Rest)
}

// Speed is a rate in mails per second.
func (f *Frame) Speed(perSecond float64) string {
	if perSecond >= 10 {
		return f.N(int(perSecond + .5))
	}
	return f.N(float64(int(perSecond*10+.5)) / 10)
}
