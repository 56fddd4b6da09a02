package webhook

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// Form is how a message is written.
type Form string

// The forms.
const (
	FormStandard Form = "standard" // Standard Webhooks, with a CloudEvents 1.0 envelope in structured mode
	FormSlack    Form = "slack"    // an incoming webhook of Slack, or of Mattermost and others that speak like it
	FormTeams    Form = "teams"    // a workflow of Microsoft Teams: an adaptive card
)

// Forms are those that a setting may name.
var Forms = []Form{FormStandard, FormSlack, FormTeams}

// Origin says which installation speaks.
type Origin struct {
	URL     string // of the console, without a slash at its end; "" = not known
	Version string
}

// cloudEvent is the envelope of CloudEvents 1.0 in structured mode: nine fields, for which its SDK would bring twenty modules.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

// body returns the message in its form. It is the same at each try.
func (f Form) body(m notice.WebhookMessage, from Origin) (body []byte, contentType string, err error) {
	var d notice.WebhookData
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return nil, "", fmt.Errorf("read message %d: %w", m.Number, err)
	}
	var doc any
	contentType = "application/json"
	switch f {
	case FormSlack:
		doc = map[string]string{"text": slackText(m, d, from)}
	case FormTeams:
		doc = teamsCard(m, d, from)
	default:
		contentType = "application/cloudevents+json; charset=utf-8"
		doc = cloudEvent{SpecVersion: "1.0", ID: m.ID, Source: source(from), Type: eventType(m.Event), Subject: d.Key,
			Time: m.At.Format(time.RFC3339Nano), DataContentType: "application/json", Data: m.Data}
	}
	body, err = json.Marshal(doc)
	return body, contentType, err
}

// source names the installation: with an event's id it is unique.
func source(from Origin) string {
	if from.URL == "" {
		return "/tocsin"
	}
	return from.URL
}

func eventType(e notice.WebhookEvent) string {
	if e == notice.EventTest {
		return "tocsin.webhook.test"
	}
	return "tocsin.notice." + string(e)
}

// says are the words for each event, after the key of its notice.
var says = map[notice.WebhookEvent]string{
	notice.EventReleased:  "is released",
	notice.EventStarted:   "begins to leave",
	notice.EventPaused:    "is paused",
	notice.EventHeld:      "is held",
	notice.EventBrake:     "is held by the brake",
	notice.EventResumed:   "goes on",
	notice.EventFinished:  "is finished",
	notice.EventUncertain: "has mails that may have arrived or not",
	notice.EventReopened:  "has mails to send again",
	notice.EventCancelled: "is cancelled",
	notice.EventTakenBack: "is taken back, and a draft again",
}

// sentence tells the event, without the key and in plain text.
func sentence(m notice.WebhookMessage, d notice.WebhookData) string {
	text := says[m.Event]
	if d.Reason != "" {
		text += " (" + d.Reason + ")"
	}
	switch m.Event {
	case notice.EventReleased, notice.EventStarted:
		return fmt.Sprintf("%s: %d recipients, state %s.", text, d.Recipients, d.State)
	case notice.EventFinished, notice.EventUncertain:
		var counts []string
		for _, state := range notice.DeliveryStates {
			if n := d.Counts[state.String()]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, state))
			}
		}
		return text + ": " + strings.Join(counts, ", ") + "."
	}
	return text + "."
}

// pageOf is the console's page of a notice, "" where the console's URL is not known.
func pageOf(d notice.WebhookData, from Origin) string {
	if from.URL == "" {
		return ""
	}
	return from.URL + "/notices/" + url.PathEscape(d.Key)
}

const testText = "Tocsin can reach this place: somebody asked for this test."

// slackText is in Slack's mrkdwn, of which three characters are escaped.
func slackText(m notice.WebhookMessage, d notice.WebhookData, from Origin) string {
	if m.Event == notice.EventTest {
		return testText
	}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	name := "*" + escape(d.Key) + "*"
	if page := pageOf(d, from); page != "" {
		name = "*<" + page + "|" + escape(d.Key) + ">*"
	}
	return name + " " + escape(sentence(m, d))
}

// teamsCard is an adaptive card, in the envelope that a workflow's trigger wants.
func teamsCard(m notice.WebhookMessage, d notice.WebhookData, from Origin) any {
	block := func(text string, more ...string) map[string]any {
		b := map[string]any{"type": "TextBlock", "text": text, "wrap": true}
		for i := 0; i+1 < len(more); i += 2 {
			b[more[i]] = more[i+1]
		}
		return b
	}
	content := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
	if m.Event == notice.EventTest {
		content["body"] = []any{block(testText)}
	} else {
		text := sentence(m, d)
		content["body"] = []any{block(plainMarkdown(d.Key), "weight", "Bolder", "size", "Medium"), block(plainMarkdown(strings.ToUpper(text[:1]) + text[1:]))}
		if page := pageOf(d, from); page != "" {
			content["actions"] = []any{map[string]any{"type": "Action.OpenUrl", "title": "Open", "url": page}}
		}
	}
	return map[string]any{"type": "message", "attachments": []any{
		map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}}}
}

// plainMarkdown has a text of people show as it is: cards read a subset of Markdown.
func plainMarkdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`).Replace(text)
}
