package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tocsin/internal/notice"
)

func TestWindowsPrintThemselvesForTheirReader(t *testing.T) {
	t.Parallel()
	evening := notice.Window{Start: "2026-11-09T21:00", End: "2026-11-09T22:30"}
	midnight := notice.Window{Start: "2026-11-09T21:00", End: "2026-11-10T00:00", Zone: "Europe/Amsterdam"}
	clocks := notice.Window{Start: "2026-10-25T01:30", End: "2026-10-25T03:30", Zone: "Europe/Amsterdam"}
	for name, tt := range map[string]struct {
		window           notice.Window
		language, reader string
		want             string
	}{
		"one day":                 {evening, "en-GB", "Europe/Amsterdam", "Monday, 9 November 2026, 21:00–22:30 (CET, UTC+1)"},
		"no zone is the notice's": {evening, "en-GB", "", "Monday, 9 November 2026, 21:00–22:30 (CET, UTC+1)"},
		"a zone that is none":     {evening, "en-GB", "Mars/Olympus", "Monday, 9 November 2026, 21:00–22:30 (CET, UTC+1)"},
		"twelve hours":            {evening, "en-US", "America/New_York", "Monday, November 9, 2026, 3:00 – 4:30 PM (EST, UTC−5)"},
		"until midnight":          {midnight, "nl", "Europe/Amsterdam", "maandag 9 november 2026 om 21:00 – dinsdag 10 november 2026 om 00:00 (CET, UTC+1)"},
		"the next day elsewhere":  {midnight, "ja", "Asia/Tokyo", "2026年11月10日火曜日 5時00分～8時00分 (JST, UTC+9)"},
		"half an hour off":        {midnight, "hi", "Asia/Kolkata", "मंगलवार, 10 नवंबर 2026, 1:30–4:30 am (IST, UTC+5:30)"},
		"when clocks go back":     {clocks, "de", "Europe/Berlin", "Sonntag, 25. Oktober 2026, 01:30–03:30 Uhr (MESZ → MEZ, UTC+2 → UTC+1)"},
		"in UTC":                  {midnight, "fr", "UTC", "lundi 9 novembre 2026, 20:00 – 23:00 (UTC)"},
		"in Persian":              {evening, "fa", "Asia/Tehran", "۱۴۰۵ آبان ۱۸, دوشنبه ساعت ۲۳:۳۰ تا ۱۴۰۵ آبان ۱۹, سه\u200cشنبه ساعت ۱:۰۰ (Asia/Tehran, UTC+3:30)"},
		"time before date":        {evening, "vi", "Asia/Ho_Chi_Minh", "03:00–04:30 Thứ Ba, 10 tháng 11, 2026 (Asia/Ho_Chi_Minh, UTC+7)"},
		"no tables":               {midnight, "yi", "Europe/Amsterdam", "2026-11-09 21:00 – 2026-11-10 00:00 (Europe/Amsterdam, UTC+1)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := own("s", "x")
			b.Windows = []notice.Window{tt.window}
			b.Texts[tt.language] = notice.Text{Subject: "{{range .Windows}}{{.}}{{end}}", Body: "x"}
			p := compile(t, b)
			r := recipient("A", nil)
			r.Language, r.TimeZone = tt.language, tt.reader
			if diff := cmp.Diff(tt.want, preview(t, p, r).Subject); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDatesAreReadInEveryForm(t *testing.T) {
	t.Parallel()
	r := recipient("A", map[string]string{"day": "2026-11-09", "wall": "2026-11-09T21:00", "instant": "2026-11-09T20:00:00Z"})
	r.TimeZone = "America/New_York"
	body := "{{date .Customer.Attributes.day}}|{{date .Customer.Attributes.wall}}|{{date .Customer.Attributes.instant}}|" +
		"{{range .Windows}}{{.Start}}|{{date .End}}{{end}}"
	b := own(body, "x")
	b.Windows = b.Windows[:1]
	want := []string{
		"Monday, 9 November 2026",
		"Monday, 9 November 2026 at 15:00 (America/New_York, UTC−5)",
		"Monday, 9 November 2026 at 15:00 (America/New_York, UTC−5)",
		"Monday, 9 November 2026 at 15:00 (America/New_York, UTC−5)",
		"Monday, 9 November 2026 at 17:30 (America/New_York, UTC−5)",
	}
	if diff := cmp.Diff(want, strings.Split(preview(t, compile(t, b), r).Subject, "|")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestATextIsWrittenAsTheReadersRegionDoes(t *testing.T) {
	t.Parallel()
	b := own("{{number .Customer.Attributes.n}}|{{date .Customer.Attributes.day}}|{{range .Windows}}{{.}}{{end}}", "x")
	b.Texts["de"], b.Windows = b.Texts["en"], b.Windows[:1]
	p := compile(t, b)
	for language, want := range map[string]string{
		"de-CH": "1'234'567.89|Montag, 9. November 2026|Montag, 9. November 2026, 21:00–23:30 Uhr (MEZ, UTC+1)",
		"de":    "1.234.567,89|Montag, 9. November 2026|Montag, 9. November 2026, 21:00–23:30 Uhr (MEZ, UTC+1)",
		"en-GB": "1,234,567.89|Monday, 9 November 2026|Monday, 9 November 2026, 21:00–23:30 (CET, UTC+1)",
		// A reader of the default, for want of a text of their own, gets its language throughout.
		"fi": "1,234,567.89|Monday, November 9, 2026|Monday, November 9, 2026, 9:00 – 11:30 PM (Europe/Zurich, UTC+1)",
	} {
		r := recipient("A", map[string]string{"n": "1234567.89", "day": "2026-11-09"})
		r.Language, r.TimeZone = language, "Europe/Zurich"
		if diff := cmp.Diff(want, preview(t, p, r).Subject); diff != "" {
			t.Errorf("%s (-want +got):\n%s", language, diff)
		}
	}
}

func TestAZoneIsNotBrokenFromItsOffset(t *testing.T) {
	t.Parallel()
	b := own("s", "{{range .Windows}}{{.}}{{end}}")
	b.Windows = b.Windows[:1]
	m := preview(t, compile(t, b), recipient("A", nil))
	for part, want := range map[string]string{m.Text: "(CET,\u00a0UTC+1)", m.HTML: "(CET,\u00a0UTC&#43;1)"} {
		if !strings.Contains(part, want) {
			t.Errorf("%q is not in:\n%s", want, part)
		}
	}
}
