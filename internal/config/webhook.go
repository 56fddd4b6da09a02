package config

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// Webhook is a receiver of changes of notices.
type Webhook struct {
	Name    string
	URL     string   // may be a secret itself
	Secrets []string // base64, with whsec_ before it or without; none where the form is not standard
	Events  []notice.WebhookEvent
	Form    string // standard, slack or teams
}

// The forms of webhooks.
const (
	webhookStandard = "standard"
	webhookSlack    = "slack"
	webhookTeams    = "teams"
)

// leastSecret is how many bytes of a secret Standard Webhooks ask for.
const leastSecret = 24

var webhookName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (f *file) keepWebhooks(v yaml.Value) error {
	return v.List("[{name: on-call, url: https://hooks.example.net/tocsin, secret_file: /run/secrets/webhook}]", func(item yaml.Value) error {
		f.webhooks = append(f.webhooks, item)
		return nil
	})
}

// webhooks reads the receivers with the files of their secrets, which other commands may lack the right to read.
func (r *reader) webhooks() []Webhook {
	var all []Webhook
	lines := map[string]int{}
	for _, v := range r.s.file.webhooks {
		w, err := r.s.file.webhook(v)
		if line, again := lines[w.Name]; err == nil && again {
			err = v.Wrong("another webhook in line %d is named %q too", line, w.Name)
		}
		if err != nil {
			r.add(err)
			continue
		}
		lines[w.Name] = v.Line()
		all = append(all, w)
	}
	return all
}

func (f *file) webhook(v yaml.Value) (Webhook, error) {
	var w Webhook
	var urlFile, secretFile string
	var events []string
	like := "a webhook such as {name: on-call, url: https://hooks.example.net/tocsin, secret_file: /run/secrets/webhook}"
	err := v.Fields("field of a webhook", like, webhookFields(&w, &urlFile, &secretFile, &events))
	w.Form = cmp.Or(w.Form, webhookStandard)
	switch {
	case err != nil:
		return w, err
	case w.Name == "":
		return w, v.Wrong("the webhook has no name; the log and `tocsin webhooks` call it by one, such as on-call")
	case (w.URL == "") == (urlFile == ""):
		return w, v.Wrong("the webhook %s wants a url or a url_file, one of the two", w.Name)
	case (w.Form == webhookStandard) != (secretFile != ""):
		return w, v.Wrong("the webhook %s: %s", w.Name, aboutSecret(w.Form))
	}
	if urlFile != "" {
		if w.URL, err = readSecret(f.beside(urlFile)); err == nil {
			err = isWebhookURL(w.URL)
		}
		if err != nil {
			return w, v.Wrong("url_file %s %v", urlFile, err)
		}
	}
	if w.Form != webhookStandard && !strings.HasPrefix(w.URL, "https://") && !isLoopbackURL(w.URL) {
		return w, v.Wrong("the webhook %s: the URL of a form %s is a secret, and wants https", w.Name, w.Form)
	}
	if secretFile != "" {
		if w.Secrets, err = webhookSecrets(f.beside(secretFile)); err != nil {
			return w, v.Wrong("secret_file %s %v", secretFile, err)
		}
	}
	w.Events, err = webhookEvents(v, events)
	return w, err
}

// webhookFields are the fields of a webhook.
func webhookFields(w *Webhook, urlFile, secretFile *string, events *[]string) yaml.Fields {
	return yaml.Fields{
		"name":        checked(&w.Name, isWebhookName),
		"url":         webhookURL(&w.URL),
		"url_file":    yaml.Text(urlFile),
		"secret_file": yaml.Text(secretFile),
		"events":      yaml.Texts(events, "[released, held, finished]"),
		"form":        checked(&w.Form, isWebhookForm),
	}
}

func aboutSecret(form string) string {
	if form == webhookStandard {
		return "it has no secret_file with which its messages are signed; openssl rand -base64 32 makes a secret"
	}
	return "a form " + form + " is not signed, and has no secret_file"
}

// webhookEvents are those that are named, all where none is.
func webhookEvents(v yaml.Value, names []string) (events []notice.WebhookEvent, err error) {
	if len(names) == 0 {
		return notice.WebhookEvents, nil
	}
	for _, name := range names {
		if !slices.Contains(notice.WebhookEvents, notice.WebhookEvent(name)) {
			var known []string
			for _, e := range notice.WebhookEvents {
				known = append(known, string(e))
			}
			return nil, v.Wrong("events: %q is none of %s", name, strings.Join(known, ", "))
		}
		events = append(events, notice.WebhookEvent(name))
	}
	return events, nil
}

// webhookSecrets reads one secret, or two while one is replaced: the new one first.
func webhookSecrets(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	secrets := strings.Fields(string(text))
	if len(secrets) < 1 || len(secrets) > 2 {
		return nil, errors.New("holds neither one secret nor two, a line each")
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return nil, errors.New("holds something that is not base64, with whsec_ before it or without")
		}
		if len(key) < leastSecret {
			return nil, fmt.Errorf("holds a secret of %d bytes; it has %d at least: openssl rand -base64 32 makes one", len(key), leastSecret)
		}
	}
	return secrets, nil
}

func isWebhookName(text string) error {
	if !webhookName.MatchString(text) {
		return errors.New("is no name of a-z, 0-9 and -, such as on-call")
	}
	return nil
}

func isWebhookForm(text string) error {
	if text != webhookStandard && text != webhookSlack && text != webhookTeams {
		return errors.New("is neither standard, slack nor teams")
	}
	return nil
}

// webhookURL returns a reader that keeps a URL. Its error does not repeat the text, which may be a secret.
func webhookURL(to *string) func(yaml.Value) error {
	return func(v yaml.Value) (err error) {
		if *to, err = v.Text(); err == nil && *to != "" {
			if err := isWebhookURL(*to); err != nil {
				return v.Wrong("url: the text %v", err)
			}
		}
		return err
	}
}

func isWebhookURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("is not a URL such as https://hooks.example.net/tocsin, without a user and a password")
	}
	return nil
}

func isLoopbackURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && isLoopback(u.Hostname())
}
