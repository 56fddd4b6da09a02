package control

import (
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

func TestWhatIsOverIsNotAnnounced(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 9, 20, 30, 0, 0, time.UTC) // 21:30 in Amsterdam
	at := func(d time.Duration) notice.Time { return notice.At(now.Add(d)) }
	over := notice.Window{Start: "2026-11-09T20:00", End: "2026-11-09T21:15"}
	running := notice.Window{Start: "2026-11-09T21:00", End: "2026-11-09T23:00"}
	offset := notice.Window{Start: "2026-11-09T20:00-05:00", End: "2026-11-09T21:15-05:00"}
	for name, tt := range map[string]struct {
		body  notice.Body
		field string // "" where it may go
	}{
		"scheduled, all windows over":              {notice.Body{Phase: "scheduled", Windows: []notice.Window{over, over}}, "windows"},
		"reminder, all windows over":               {notice.Body{Phase: "reminder", Windows: []notice.Window{over}}, "windows"},
		"in progress, the last one over":           {notice.Body{Phase: "in-progress", Windows: []notice.Window{over}}, "windows"},
		"scheduled, one is to come":                {notice.Body{Phase: "scheduled", Windows: []notice.Window{running, over}}, ""},
		"a window with its offset":                 {notice.Body{Phase: "scheduled", Windows: []notice.Window{offset}}, ""},
		"in the zone of the notice":                {notice.Body{Phase: "scheduled", Zone: "America/New_York", Windows: []notice.Window{over}}, ""},
		"in progress":                              {notice.Body{Phase: "in-progress", Windows: []notice.Window{over, running}}, ""},
		"completed":                                {notice.Body{Phase: "completed", Windows: []notice.Window{over}}, ""},
		"cancelled":                                {notice.Body{Phase: "cancelled", Windows: []notice.Window{over}}, ""},
		"postmortem":                               {notice.Body{Phase: "postmortem", Windows: []notice.Window{over}}, ""},
		"an outage":                                {notice.Body{Phase: "identified", Windows: []notice.Window{over}}, ""},
		"without windows":                          {notice.Body{Phase: "scheduled"}, ""},
		"next_update over":                         {notice.Body{Phase: "identified", Parameters: parameters("next_update", "2026-11-09T21:00")}, "parameters.next_update"},
		"next_update to come":                      {notice.Body{Phase: "identified", Parameters: parameters("next_update", "2026-11-09T22:00")}, ""},
		"next_update that is no time":              {notice.Body{Phase: "identified", Parameters: parameters("next_update", "soon")}, ""},
		"another parameter":                        {notice.Body{Phase: "identified", Parameters: parameters("began", "2026-11-09T21:00")}, ""},
		"send_at half an hour ago":                 {notice.Body{Phase: "identified", SendAt: at(-30 * time.Minute)}, ""},
		"send_at two hours ago":                    {notice.Body{Phase: "identified", SendAt: at(-2 * time.Hour)}, "send_at"},
		"send_at after the last window":            {notice.Body{Phase: "reminder", Windows: []notice.Window{running}, SendAt: at(3 * time.Hour)}, "send_at"},
		"send_at within the last window":           {notice.Body{Phase: "reminder", Windows: []notice.Window{running}, SendAt: at(time.Hour)}, ""},
		"send_at after the window, of a completed": {notice.Body{Phase: "completed", Windows: []notice.Window{running}, SendAt: at(3 * time.Hour)}, ""},
		"expires_at over":                          {notice.Body{Phase: "identified", ExpiresAt: at(-time.Second)}, "expires_at"},
		"expires_at to come":                       {notice.Body{Phase: "identified", ExpiresAt: at(time.Second)}, ""},
	} {
		zone := tt.body.Zone
		if zone == "" {
			zone = "Europe/Amsterdam"
		}
		err := past(tt.body, zone, now)
		if got := fieldOf(err); got != tt.field {
			t.Errorf("%s: got %v, want %q", name, err, tt.field)
		}
	}
	if hint := late(notice.Body{SendAt: at(-30 * time.Minute)}, now); !strings.Contains(hint, "at once") {
		t.Errorf("the hint is %q", hint)
	}
}

func parameters(name, value string) map[string]notice.Parameter {
	return map[string]notice.Parameter{name: {Text: value}}
}

func fieldOf(err *notice.Error) string {
	if err == nil {
		return ""
	}
	return err.Field
}

func TestACheckIsOverruledByItsName(t *testing.T) {
	t.Parallel()
	now := time.Now()
	gone := now.Add(-time.Minute)
	p := prepared{body: notice.Body{ExpiresAt: notice.At(gone)}, program: &render.Program{}}
	if err := mayGo(p, nil, now); notice.CodeOf(err) != notice.CodeConflict || !strings.Contains(err.Error(), `"past"`) {
		t.Errorf("got %v", err)
	}
	if err := mayGo(p, []string{"past"}, now); err != nil {
		t.Error(err)
	}
	if err := checkAllowed([]string{"past", "everything"}); notice.CodeOf(err) != notice.CodeInvalid || !strings.HasPrefix(err.Error(), "allow[1]") {
		t.Errorf("got %v", err)
	}
}
