package directory

import (
	"strconv"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// parse reads notice.yaml. Values are taken as they are written, so that language no, version 1.10 and the
// time 2026-11-09T21:00 stay as they are.
func (d place) parse(text []byte) (b notice.Body, err error) {
	v, err := yaml.Read(d.path(manifest), text)
	if err != nil {
		return b, err
	}
	if v.Empty() {
		return b, notice.Invalid(d.path(manifest), "is empty")
	}
	err = v.Fields("field of a notice", "fields such as “key: …”, one a line", yaml.Fields{
		"key":              yaml.Text(&b.Key),
		"incident":         yaml.Text(&b.Incident),
		"amends":           yaml.Text(&b.Amends),
		"kind":             yaml.Text(&b.Kind),
		"phase":            yaml.Text(&b.Phase),
		"severity":         yaml.Text(&b.Severity),
		"template":         yaml.Text(&b.Template),
		"parameters":       readParameters(&b.Parameters),
		"details":          readParameter(&b.Details),
		"phrases":          readPhrases(&b.Phrases),
		"audience":         d.readAudience(&b.Audience),
		"audience_at":      yaml.Text(&b.AudienceAt),
		"max_recipients":   readNumber(&b.MaxRecipients),
		"canary":           readNumber(&b.Canary),
		"default_language": yaml.Text(&b.DefaultLanguage),
		"stacked":          yaml.Text(&b.Stacked),
		"zone":             yaml.Text(&b.Zone),
		"windows":          readWindows(&b.Windows),
		"was":              readWindows(&b.Was),
		"remind":           yaml.Texts(&b.Remind, "[72h, 24h, 1h]"),
		"calendar_method":  yaml.Text(&b.CalendarMethod),
		"calendar_impact":  yaml.Text(&b.CalendarImpact),
		"calendar_object":  yaml.Text(&b.CalendarObject),
		"broken_domains":   yaml.Texts(&b.BrokenDomains, "[a, b]"),
		"broken":           d.readBroken(&b.Broken),
		"reply_to":         yaml.Text(&b.ReplyTo),
		"send_at":          readTime(&b.SendAt),
		"expires_at":       readTime(&b.ExpiresAt),
	})
	return b, err
}

// readParameters reads parameters by name; one without a value is absent.
func readParameters(to *map[string]notice.Parameter) func(yaml.Value) error {
	return func(v yaml.Value) error {
		if v.Empty() {
			return nil
		}
		*to = map[string]notice.Parameter{}
		return v.Each("a mapping such as {component: web server s639}", func(_, val yaml.Value) error {
			if val.Empty() {
				return nil
			}
			var p notice.Parameter
			err := readParameter(&p)(val.As("the parameter " + val.Name()))
			(*to)[val.Name()] = p
			return err
		})
	}
}

// readParameter reads one text, or one for each language.
func readParameter(to *notice.Parameter) func(yaml.Value) error {
	return func(v yaml.Value) (err error) {
		if !v.Mapping() {
			to.Text, err = v.Text()
			return err
		}
		to.ByLanguage = map[string]string{}
		return v.Each("a text for each language", func(_, val yaml.Value) (err error) {
			to.ByLanguage[val.Name()], err = val.As("the text in " + val.Name()).Text()
			return err
		})
	}
}

// readPhrases reads phrases, each with or without values.
func readPhrases(to *[]notice.Phrase) func(yaml.Value) error {
	const like = "[cause.power, {estimate.end: {time: 2026-11-09T21:00}}]"
	return func(v yaml.Value) error {
		return v.List(like, func(item yaml.Value) error {
			if !item.Mapping() {
				name, err := item.Text()
				*to = append(*to, notice.Phrase{Name: name})
				return err
			}
			before := len(*to)
			err := item.Each("a phrase with its values, such as {estimate.end: {time: 2026-11-09T21:00}}", func(_, val yaml.Value) error {
				p := notice.Phrase{Name: val.Name()}
				err := readParameters(&p.Values)(val)
				*to = append(*to, p)
				return err
			})
			if err == nil && len(*to) != before+1 {
				err = item.Wrong("each phrase is an item of its own: %s", like)
			}
			return err
		})
	}
}

func readWindows(to *[]notice.Window) func(yaml.Value) error {
	const like = "{start: 2026-11-09T21:00, end: 2026-11-10T00:00}"
	return func(v yaml.Value) error {
		return v.List("["+like+"]", func(item yaml.Value) error {
			var w notice.Window
			err := item.Fields("field of a window", "a window such as "+like, yaml.Fields{
				"start": yaml.Text(&w.Start), "end": yaml.Text(&w.End), "zone": yaml.Text(&w.Zone),
			})
			if err == nil && (w.Start == "" || w.End == "") {
				err = item.Wrong("a window wants both a start and an end")
			}
			*to = append(*to, w)
			return err
		})
	}
}

// readBroken reads which mailboxes are down.
func (d place) readBroken(to *notice.Broken) func(yaml.Value) error {
	return func(v yaml.Value) error {
		err := v.Fields("field of broken", "a mapping such as {domains: [mail.example]}", yaml.Fields{
			"domains": yaml.Texts(&to.Domains, "[mail.example]"),
			"filter":  d.readFilter(&to.Filter),
		})
		if err == nil && len(to.Domains) == 0 && to.Filter == "" {
			err = v.Wrong("broken names no mailbox: give it domains, or a filter over customers")
		}
		return err
	}
}

// readNumber reads a whole number.
func readNumber(to *int) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		if *to, err = strconv.Atoi(text); err != nil {
			return v.Wrong("%s: %q is not a whole number such as 3000", v.Name(), text)
		}
		return nil
	}
}

// readTime reads a time as it is written. The server decides on its instant: it may know the notice already.
func readTime(to *notice.Time) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		*to = notice.Time(text)
		if _, err := to.Normal(); err != nil {
			return v.Wrong("%s: %v", v.Name(), err)
		}
		return nil
	}
}
