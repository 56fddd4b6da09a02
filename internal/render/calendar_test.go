package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// readCalendar prints the events of a mail's calendar as Debian's python3-icalendar reads them.
const readCalendar = `
import sys, json, email, email.policy, icalendar
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default.clone(raise_on_defect=True))
parts = [p for p in mail.walk() if p.get_content_type() == "text/calendar"]
assert len(parts) == 1 and parts[0].get_filename() == "maintenance.ics", parts
calendar = icalendar.Calendar.from_ical(parts[0].get_payload(decode=True))
zones = {str(z["TZID"]): z.to_tz() for z in calendar.walk("VTIMEZONE")}
events = []
for e in calendar.walk("VEVENT"):
    assert not e.errors, e.errors
    one = {k: str(e[k]) for k in e if k not in ("DTSTART", "DTEND", "DTSTAMP", "X-MAINTNOTE-OBJECT-ID")}
    objects = e["X-MAINTNOTE-OBJECT-ID"]
    one["objects"] = [str(o) for o in (objects if isinstance(objects, list) else [objects])]
    one["CN"], one["LANGUAGE"] = e["ORGANIZER"].params["CN"], e["SUMMARY"].params["LANGUAGE"]
    for k in ("DTSTART", "DTEND"):
        at = e[k].dt
        if "TZID" in e[k].params:
            zone = zones[e[k].params["TZID"]]
            at = zone.localize(at.replace(tzinfo=None)) if hasattr(zone, "localize") else at.replace(tzinfo=zone)
        one[k] = int(at.timestamp())
    one["DTSTAMP"] = int(e["DTSTAMP"].dt.timestamp())
    events.append(one)
print(json.dumps({"method": str(calendar.get("METHOD", "")), "type": parts[0].get_param("method") or "", "events": events}))
`

type readEvents struct {
	Method, Type string
	Events       []map[string]any
}

// asMachinesRead returns the calendar of a mail as icalendar reads it.
func asMachinesRead(t *testing.T, raw []byte) (c readEvents) {
	t.Helper()
	script, err := os.ReadFile(testkit.Program(t, "icalendar"))
	if err != nil {
		t.Fatal(err)
	}
	interpreter, _, _ := strings.Cut(strings.TrimPrefix(string(script), "#!"), "\n")
	cmd := exec.CommandContext(t.Context(), interpreter, "-c", readCalendar)
	cmd.Env, cmd.Stdin = append(cmd.Environ(), "PYTHONIOENCODING=utf-8"), bytes.NewReader(raw)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// maintained is a notice of a maintenance in two windows, the second of which the clocks of Berlin change in.
func maintained() notice.Body {
	b := own("Maintenance, of {{.Customer.Name}}; really", "Hello")
	b.Kind, b.Phase, b.Zone, b.CalendarObject = notice.Maintenance, "scheduled", "Europe/Berlin", "server"
	b.Windows = []notice.Window{{Start: "2026-12-05T23:00", End: "2026-12-06T01:00"}, {Start: "2027-03-28T01:00", End: "2027-03-28T04:00"}}
	return b
}

func maintainedFor(zone string) notice.Recipient {
	r := recipient(strings.Repeat("Zoë \"B\\B\", Ltd; 東京 😀 ", 8), map[string]string{"server": "mx1, mx2"})
	r.Customers = append(r.Customers, notice.Frozen{ID: "second, account", Name: "x"})
	r.TimeZone = zone
	return r
}

func TestTheCalendarHasAnEventForEachWindowAndAccount(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "UTC", "Pacific/Apia"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			b := maintained()
			r := maintainedFor(zone)
			m, err := render(compile(t, b), r, "en", stamp())
			if err != nil {
				t.Fatal(err)
			}
			c := asMachinesRead(t, m.Raw)
			if c.Method != "" || c.Type != "" || len(c.Events) != 4 {
				t.Fatalf("%+v", c)
			}
			seen := map[any]bool{}
			for i, e := range c.Events {
				start, end, _ := b.Windows[i/2].Span(b.Zone)
				account := r.Customers[i%2].ID
				objects := []any{"mx1", "mx2"}
				if i%2 == 1 {
					objects = []any{account}
				}
				seen[e["UID"]] = true
				want := map[string]any{"UID": e["UID"], "DTSTART": float64(start.Unix()), "DTEND": float64(end.Unix()), "DTSTAMP": float64(stamp().Date.Unix()),
					"SEQUENCE": fmt.Sprint(int(stamp().Date.Sub(sequenceEpoch) / time.Second)), "SUMMARY": m.Subject, "STATUS": "CONFIRMED", "TRANSP": "TRANSPARENT",
					"ORGANIZER": "mailto:status@example.net", "CN": "Example Status", "LANGUAGE": "en", "objects": objects,
					"X-MAINTNOTE-PROVIDER": "example.net", "X-MAINTNOTE-ACCOUNT": account, "X-MAINTNOTE-MAINTENANCE-ID": "mail-2026-11-09",
					"X-MAINTNOTE-IMPACT": "OUTAGE", "X-MAINTNOTE-STATUS": "CONFIRMED"}
				if diff := cmp.Diff(want, e); diff != "" {
					t.Errorf("event %d (-want +got):\n%s", i, diff)
				}
			}
			if len(seen) != 4 {
				t.Errorf("%d different UIDs", len(seen))
			}
		})
	}
}

// TestACalendarFollowsTheMaintenance looks at the events of the notices of one maintenance.
func TestACalendarFollowsTheMaintenance(t *testing.T) {
	t.Parallel()
	sent := func(change func(*notice.Body), later time.Duration) readEvents {
		b, st := maintained(), stamp()
		b.Windows = b.Windows[:1]
		change(&b)
		st.Date = st.Date.Add(later)
		m, err := render(compile(t, b), maintainedFor("Europe/Berlin"), "en", st)
		if err != nil {
			t.Fatal(err)
		}
		return asMachinesRead(t, m.Raw)
	}
	first := sent(func(b *notice.Body) { b.Severity = "minor" }, 0)
	moved := sent(func(b *notice.Body) {
		b.Key, b.Windows[0] = "moved", notice.Window{Start: "2026-12-07T23:00", End: "2026-12-08T01:00"}
		b.CalendarImpact, b.CalendarMethod = "no-impact", "request"
	}, time.Second)
	off := sent(func(b *notice.Body) { b.Key, b.Phase, b.CalendarMethod = "off", "cancelled", "publish" }, time.Hour)
	for i, tt := range []struct {
		readEvents
		method, impact, status, maintenance string
	}{{first, "", "DEGRADED", "CONFIRMED", "CONFIRMED"}, {moved, "REQUEST", "NO-IMPACT", "CONFIRMED", "CONFIRMED"}, {off, "CANCEL", "OUTAGE", "CANCELLED", "CANCELLED"}} {
		e := tt.Events[0]
		got := []any{tt.Method, tt.Type, e["X-MAINTNOTE-IMPACT"], e["STATUS"], e["X-MAINTNOTE-STATUS"], e["UID"]}
		want := []any{tt.method, tt.method, tt.impact, tt.status, tt.maintenance, first.Events[0]["UID"]}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("notice %d (-want +got):\n%s", i, diff)
		}
	}
	a, b, c := first.Events[0]["SEQUENCE"], moved.Events[0]["SEQUENCE"], off.Events[0]["SEQUENCE"]
	if a.(string) >= b.(string) || b.(string) >= c.(string) {
		t.Errorf("the revisions are %s, %s, %s", a, b, c)
	}
}

// TestTheEventsOfDroppedWindowsAreCancelled where a maintenance that was moved, or amended, has fewer windows than before.
func TestTheEventsOfDroppedWindowsAreCancelled(t *testing.T) {
	t.Parallel()
	read := func(b notice.Body, revision int) readEvents {
		st := stamp()
		st.Revision = revision
		m, err := render(compile(t, b), maintainedFor("Europe/Berlin"), "en", st)
		if err != nil {
			t.Fatal(err)
		}
		return asMachinesRead(t, m.Raw)
	}
	before := maintained()
	announced := read(before, 7)
	for name, windows := range map[string][]notice.Window{"one is left": {{Start: "2026-12-07T23:00", End: "2026-12-08T01:00"}}, "none is left": nil} {
		b := maintained()
		b.Windows, b.Was, b.Phase = windows, before.Windows, "rescheduled"
		now := read(b, 8)
		if len(now.Events) != len(announced.Events) {
			t.Fatalf("%s: %d events", name, len(now.Events))
		}
		for i, e := range now.Events {
			was, status := announced.Events[i], "CONFIRMED"
			if dropped := i/2 >= len(windows); dropped {
				status = "CANCELLED"
				if e["DTSTART"] != was["DTSTART"] || e["DTEND"] != was["DTEND"] {
					t.Errorf("%s: event %d is at another time", name, i)
				}
			}
			if e["UID"] != was["UID"] || e["STATUS"] != status || e["X-MAINTNOTE-STATUS"] != status || was["SEQUENCE"] != "7" || e["SEQUENCE"] != "8" {
				t.Errorf("%s: event %d is %v, and was %v", name, i, e, was)
			}
		}
	}
}

func TestOnlyAMaintenanceWithWindowsHasACalendar(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*notice.Body){
		"an outage":     func(b *notice.Body) { b.Kind, b.Phase = notice.Outage, "investigating" },
		"no windows":    func(b *notice.Body) { b.Windows = nil },
		"a post-mortem": func(b *notice.Body) { b.Phase = "postmortem" },
	} {
		b := maintained()
		change(&b)
		m, err := render(compile(t, b), maintainedFor(""), "en", stamp())
		if err != nil || m.Calendar != "" || bytes.Contains(m.Raw, []byte("text/calendar")) {
			t.Errorf("%s: %v\n%s", name, err, m.Calendar)
		}
	}
}

// TestReadersOfOtherZonesHaveOtherCalendars holds though the text prints no time, and after a mail was kept and read again.
func TestReadersOfOtherZonesHaveOtherCalendars(t *testing.T) {
	t.Parallel()
	p := compile(t, maintained())
	for _, zone := range []string{"Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"} {
		m, err := p.Compiled(maintainedFor(zone), "en")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := again.Append(nil, maintainedFor(zone), stamp())
		if err != nil || !bytes.Contains(raw, []byte("DTSTART;TZID=3D"+zone)) {
			t.Errorf("%s: %v\n%s", zone, err, raw)
		}
	}
}
