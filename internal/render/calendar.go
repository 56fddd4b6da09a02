package render

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"tocsin/internal/notice"
)

// calendar is a file of events (RFC 5545) in the mails of a maintenance: one for each window and account. Besides the
// properties that calendars show, each event has the properties by which networks read notes of maintenance by machine
// (a recommendation, https://github.com/jda/maintnote-std). It is a part of the encoding of a Mail.
type calendar struct {
	Method   string   `json:"method,omitempty"` // PUBLISH, REQUEST or CANCEL (RFC 5546); empty = the file is one to look at
	Sender   string   `json:"sender"`           // address
	Name     string   `json:"name"`             // of the sender, else its address
	ID       string   `json:"id"`               // of the maintenance: its incident
	Impact   string   `json:"impact"`
	Status   string   `json:"status"`
	Object   string   `json:"object,omitempty"`  // the attribute with the objects that an account has in it; empty = the account is the object
	Language string   `json:"language"`          // of the summary, BCP 47
	Zone     zone     `json:"zone"`              // the reader's
	Windows  [][2]int `json:"windows"`           // begin and end in seconds since 1970
	Dropped  [][2]int `json:"dropped,omitempty"` // that readers were told of, behind those: they take place no more
	Places   []int    `json:"places,omitempty"`  // of the windows in the announcement, which have these events; empty = they have the same there
}

// maintenanceStatus is the state of a maintenance in each phase of which a calendar tells.
var maintenanceStatus = map[string]string{
	"scheduled": "CONFIRMED", "rescheduled": "CONFIRMED", "reminder": "CONFIRMED", "in-progress": "IN-PROCESS", "completed": "COMPLETED", "cancelled": "CANCELLED",
}

// calendarOf returns the calendar of a notice but for language and zone, nil where its mails have none.
func (p *Program) calendarOf(b notice.Body) *calendar {
	status := maintenanceStatus[b.Phase]
	// A window has the event of its place in the notice before; those at the end are dropped.
	dropped := p.was[min(len(p.windows), len(p.was)):]
	if b.Kind != notice.Maintenance || status == "" || len(p.windows)+len(dropped) == 0 {
		return nil
	}
	c := &calendar{Sender: p.from.Address, Name: p.sender(), ID: cmp.Or(p.incident, b.Key), Status: status, Object: b.CalendarObject,
		Method: strings.ToUpper(b.CalendarMethod), Impact: strings.ToUpper(b.CalendarImpact)}
	if c.Method != "" && status == "CANCELLED" {
		c.Method = "CANCEL"
	}
	switch {
	case c.Impact != "":
	case b.Severity == "minor":
		c.Impact = "DEGRADED"
	default:
		c.Impact = "OUTAGE"
	}
	c.Windows, c.Dropped = instants(p.windows), instants(dropped)
	if len(dropped) == 0 && len(b.Places) == len(c.Windows) {
		c.Places = b.Places
	}
	return c
}

func instants(windows []window) (all [][2]int) {
	for _, w := range windows {
		all = append(all, [2]int{int(w.start.Unix()), int(w.end.Unix())})
	}
	return all
}

// calendarPart returns the part of the calendar for a reader.
func (m *Mail) calendarPart() part {
	kind := "text/calendar; charset=UTF-8;\r\n name=\"maintenance.ics\""
	if m.Calendar.Method != "" {
		kind += "; method=" + m.Calendar.Method
	}
	return part{kind: kind, header: "Content-Disposition: attachment; filename=\"maintenance.ics\"\r\nContent-Transfer-Encoding: quoted-printable\r\n",
		body: []piece{{Field: fieldCalendar}}}
}

// valid reports whether a decoded calendar has a zone and windows.
func (c *calendar) valid() error {
	if c.Zone.Location == nil || len(c.Windows)+len(c.Dropped) == 0 {
		return errors.New("its calendar is incomplete")
	}
	return nil
}

// sequenceEpoch is where the numbers of revisions begin, so that they fit 31 bits (RFC 5545 §3.3.8).
var sequenceEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// text returns the file for a recipient, with \n at the end of each line. summary is that of its events. Where a method
// is asked for, events of dropped windows go with it, though RFC 5546 has a message of their own for them. A mail has
// one calendar, and programs go by the status of the event.
func (c *calendar) text(r notice.Recipient, summary string, st *Stamp) string {
	cal := ics.NewCalendarFor("Tocsin")
	cal.SetProductId("-//Tocsin//Tocsin//EN")
	if c.Method != "" {
		cal.SetMethod(ics.Method(c.Method))
	}
	if c.Zone.String() != "UTC" {
		c.addZone(cal)
	}
	for i, w := range slices.Concat(c.Windows, c.Dropped) {
		status, place := c.Status, i
		if i >= len(c.Windows) {
			status = "CANCELLED"
		}
		if i < len(c.Places) {
			place = c.Places[i]
		}
		for n := range r.Customers {
			account := &r.Customers[n]
			e := cal.AddEvent(c.uid(place, account.ID))
			c.date(e, w, st)
			e.SetSummary(summary, &ics.KeyValues{Key: "LANGUAGE", Value: []string{c.Language}})
			c.describe(e, account, r.Address, status)
		}
	}
	return cal.Serialize(ics.WithNewLine("\n"))
}

// date sets when an event is, and which revision of it this is: that of the stamp, else the second of its date.
func (c *calendar) date(e *ics.VEvent, w [2]int, st *Stamp) {
	e.SetDtStampTime(st.Date.UTC())
	for n, name := range []ics.ComponentProperty{ics.ComponentPropertyDtStart, ics.ComponentPropertyDtEnd} {
		t := time.Unix(int64(w[n]), 0)
		if c.Zone.String() == "UTC" {
			e.SetProperty(name, t.UTC().Format("20060102T150405Z"))
		} else {
			e.SetProperty(name, t.In(c.Zone.Location).Format("20060102T150405"), ics.WithTZID(c.Zone.String()))
		}
	}
	e.SetSequence(cmp.Or(st.Revision, max(0, int(st.Date.Sub(sequenceEpoch)/time.Second))))
}

// uid names the event of a window, by its place in the announcement, for an account: the same in each notice of the
// maintenance.
func (c *calendar) uid(window int, account string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %q", c.ID, window, account))
	_, domain, _ := strings.Cut(c.Sender, "@")
	return fmt.Sprintf("%x@%s", sum[:16], domain)
}

// describe adds the properties that tell machines of the maintenance of an account.
func (c *calendar) describe(e *ics.VEvent, account *notice.Frozen, address, status string) {
	// A parameter holds no quotes (RFC 5545 §3.2).
	e.SetOrganizer(c.Sender, ics.WithCN(strings.ReplaceAll(clean(c.Name), `"`, "'")))
	if c.Method == "REQUEST" || c.Method == "CANCEL" {
		e.AddAttendee(address, ics.ParticipationStatusNeedsAction)
	}
	e.SetStatus(ics.ObjectStatusConfirmed)
	if status == "CANCELLED" {
		e.SetStatus(ics.ObjectStatusCancelled)
	}
	e.SetTimeTransparency(ics.TransparencyTransparent) // the reader is not busy
	_, provider, _ := strings.Cut(c.Sender, "@")
	add := func(name, value string) {
		e.AddProperty(ics.ComponentProperty("X-MAINTNOTE-"+name), ics.ToText(clean(value)))
	}
	add("PROVIDER", provider)
	add("ACCOUNT", account.ID)
	add("MAINTENANCE-ID", c.ID)
	for _, object := range c.objects(account) {
		add("OBJECT-ID", object)
	}
	add("IMPACT", c.Impact)
	add("STATUS", status)
}

// objects returns the objects of an account that are maintained: the values of its attribute, which commas separate, or
// the account.
func (c *calendar) objects(account *notice.Frozen) (all []string) {
	if c.Object != "" {
		for object := range strings.SplitSeq(account.Attribute(c.Object), ",") {
			if object = strings.TrimSpace(object); object != "" {
				all = append(all, object)
			}
		}
	}
	if len(all) == 0 {
		all = []string{account.ID}
	}
	return all
}

// addZone adds the reader's zone with the observances that the windows fall into.
func (c *calendar) addZone(cal *ics.Calendar) {
	z := cal.AddTimezone(c.Zone.String())
	seen := map[int64]bool{}
	for _, w := range slices.Concat(c.Windows, c.Dropped) {
		for at := time.Unix(int64(w[0]), 0).In(c.Zone.Location); ; {
			begins, ends := at.ZoneBounds()
			if key := begins.Unix(); !seen[key] {
				seen[key] = true
				z.Components = append(z.Components, observance(at, begins))
			}
			if ends.IsZero() || ends.Unix() >= int64(w[1]) {
				break
			}
			at = ends
		}
	}
}

// observance is the time of a zone that begins then, or has always been, and holds at an instant.
func observance(at, begins time.Time) ics.Component {
	name, to := at.Zone()
	from, start := to, "19700101T000000"
	if !begins.IsZero() {
		_, from = begins.Add(-time.Second).Zone()
		start = begins.In(time.FixedZone("", from)).Format("20060102T150405")
	}
	var base ics.ComponentBase
	base.SetProperty(ics.ComponentPropertyDtStart, start)
	base.SetProperty("TZOFFSETFROM", offset(from))
	base.SetProperty("TZOFFSETTO", offset(to))
	base.SetProperty("TZNAME", name)
	if at.IsDST() {
		return &ics.Daylight{ComponentBase: base}
	}
	return &ics.Standard{ComponentBase: base}
}

// offset writes an offset from UTC in seconds as RFC 5545 §3.3.14 has it.
func offset(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	text := fmt.Sprintf("%c%02d%02d", sign, seconds/3600, seconds/60%60)
	if rest := seconds % 60; rest != 0 {
		text += fmt.Sprintf("%02d", rest)
	}
	return text
}
