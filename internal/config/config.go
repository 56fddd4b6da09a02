// Package config reads Tocsin's settings from flags, environment and file, as its one table of settings says.
//
// A flag goes before a variable, a variable before the file that TOCSIN_CONFIG names, the file before the default. An
// empty variable is unset. TOCSIN_DRAIN is "--drain" as a flag and "drain" in the file. Secrets (DATABASE_URL,
// REDIS_URL, TOCSIN_SMTP_URL, TOCSIN_TOKEN, TOCSIN_BOUNCES_IMAP_URL) have no flag; <NAME>_FILE reads one from a file.
package config

//go:generate go test . -run TestDocuments -update

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// defaultConnections of a relay, per worker.
const defaultConnections = 16

// Relay is an SMTP server that mail is handed to, as it was set.
type Relay struct {
	Name        string      // "" where it was not given one
	URL         string      // smtp:// or smtps://; holds the password where Password is empty
	Password    string      // from password_file
	Connections int         // at most so many at once, in each worker
	Rate        notice.Rate // of all workers together; 0 = no limit
	Quota       int         // mails in any 24 hours, of all workers together; 0 = no quota
	Family      string      // of its addresses: ipv4 or ipv6; "" = both
	Hello       string      // the name in EHLO; "" = that of the setting TOCSIN_HELLO
	ReturnPath  string      // where its bounces go; "" = as the setting TOCSIN_RETURN_PATH says
	Auth        []string    // SASL mechanisms in the order in which they are tried; none = the strongest that is offered first
	TokenFile   string      // holds an OAuth access token
	Token       []string    // the command that prints one, and its arguments
	Origin      string      // which setting, and where it came from: for error messages
}

// Servers holds the settings of the commands that use Postgres and Redis.
type Servers struct {
	DatabaseURL string `setting:"DATABASE_URL"`
	RedisURL    string `setting:"REDIS_URL"`
}

// Mail holds the settings that serve and work must agree on to make the same mails.
type Mail struct {
	From        string  `setting:"TOCSIN_FROM"`         // RFC 5322 address, with a display name or without; "" = not set
	ReplyTo     string  `setting:"TOCSIN_REPLY_TO"`     // RFC 5322 address; "" = none
	Zone        string  `setting:"TOCSIN_ZONE"`         // IANA zone of notices that name none; "" = UTC
	TemplateDir string  `setting:"TOCSIN_TEMPLATE_DIR"` // a directory that goes before the built-in templates; "" = none
	PublicURL   string  `setting:"TOCSIN_PUBLIC_URL"`   // where readers reach this installation; "" = nowhere
	ReturnPath  string  `setting:"TOCSIN_RETURN_PATH"`  // where bounces go; "" = to From
	Hello       string  `setting:"TOCSIN_HELLO"`        // the name in EHLO; "" = the host's, else the domain of From
	Relays      []Relay `setting:"TOCSIN_SMTP_URL"`
	DKIM        []DKIM  `setting:"dkim"`

	Branding render.Branding `setting:"branding"`
}

// Public holds the settings of the part of serve that is open to the internet.
type Public struct {
	Listen           string   `setting:"TOCSIN_PUBLIC_LISTEN"`     // host:port; "" = nowhere
	SNSTopics        []string `setting:"TOCSIN_SNS_TOPICS"`        // ARNs of topics that SES publishes to
	PostmarkPassword string   `setting:"TOCSIN_POSTMARK_PASSWORD"` // of its webhooks' basic authentication
	MailgunKey       string   `setting:"TOCSIN_MAILGUN_KEY"`       // HTTP webhook signing key
	SendGridKey      string   `setting:"TOCSIN_SENDGRID_KEY"`      // verification key of its signed events
}

// Serve holds the settings of the command serve.
type Serve struct {
	Servers
	Listen     string   `setting:"TOCSIN_LISTEN"` // host:port
	Tokens     []string `setting:"TOCSIN_TOKEN"`  // none, one, or two while rotating
	Mail       Mail
	Public     Public
	ConsoleURL string        `setting:"TOCSIN_CONSOLE_URL"` // where people reach the console, without a slash at the end; "" = by the host they ask for
	Session    time.Duration `setting:"TOCSIN_SESSION"`     // how long a session of the console lasts that is not used
	OIDC       OIDC
	Proxies    []netip.Prefix `setting:"TOCSIN_TRUSTED_PROXIES"` // that may set X-Forwarded-For
	OnlyTo     notice.OnlyTo  `setting:"TOCSIN_ONLY_TO"`         // as of Work, for the dry run and for test mails
	Holds      []Hold         `setting:"holds"`                  // nil where the file does not speak of them
	Approvals  int            `setting:"TOCSIN_APPROVALS"`       // from how many mails on another person has to approve a release; 0 = from none
	PlanKeep   time.Duration  `setting:"TOCSIN_PLAN_KEEP"`       // how long a plan that was shown can be released
	Retention  time.Duration  `setting:"TOCSIN_RETENTION"`       // how long the rows of finished notices are kept; 0 = for ever
	Log        string         `setting:"TOCSIN_LOG"`             // text or json
	Webhooks   []Webhook      `setting:"webhooks"`
	WorkerRate int            `setting:"TOCSIN_WORKER_RATE"` // mails per second that one worker is reckoned to send
	SendWithin time.Duration  `setting:"TOCSIN_SEND_WITHIN"` // in which all that is due should leave
	Lease      time.Duration  `setting:"TOCSIN_LEASE"`       // as of Work
	Traces     Traces
}

// Traces holds the settings of the traces that serve and work tell.
type Traces struct {
	URL   string `setting:"TOCSIN_OTLP_URL"`    // of the collector, without a slash at its end; "" = none
	Every int    `setting:"TOCSIN_TRACE_EVERY"` // of so many sent deliveries one has its attempts told
}

// OIDC holds the settings of the issuer at which people sign in.
type OIDC struct {
	Issuer string                      `setting:"TOCSIN_OIDC_ISSUER"` // URL; "" = none
	Client string                      `setting:"TOCSIN_OIDC_CLIENT"`
	Secret string                      `setting:"TOCSIN_OIDC_SECRET"` // "" = a public client
	Scopes []string                    `setting:"TOCSIN_OIDC_SCOPES"`
	Claim  string                      `setting:"TOCSIN_OIDC_CLAIM"`
	Roles  map[string]notice.TokenRole `setting:"TOCSIN_OIDC_ROLES"` // by values of the claim; nil = values are roles
}

// Work holds the settings of the command work.
type Work struct {
	Servers
	Listen       string        `setting:"TOCSIN_WORK_LISTEN"` // host:port of health and metrics; "" = none
	Tokens       []string      `setting:"TOCSIN_TOKEN"`       // that its metrics ask for; as of Serve
	MaxOpenMarks int           `setting:"TOCSIN_MAX_OPEN_MARKS"`
	Drain        time.Duration `setting:"TOCSIN_DRAIN"`         // how long a stopping worker may finish the mails that it began
	Lease        time.Duration `setting:"TOCSIN_LEASE"`         // how long a chunk stays with a worker that is not heard of; the same in serve and in all workers
	FirstRetry   time.Duration `setting:"TOCSIN_FIRST_RETRY"`   // mean wait before a deferred mail is tried again, which doubles from there
	RelaySilence time.Duration `setting:"TOCSIN_RELAY_SILENCE"` // after which a relay that answers none of several mails is silent
	MarksDir     string        `setting:"TOCSIN_MARKS_DIR"`     // where the numbers of marks are kept, besides Redis; "" = nowhere
	OnlyTo       notice.OnlyTo `setting:"TOCSIN_ONLY_TO"`       // mailboxes that it sends to alone
	Mail         Mail          // From and at least one relay are set
	Limits       []Limit       `setting:"limits"`
	Holds        []Hold        `setting:"holds"` // as of Serve
	Log          string        `setting:"TOCSIN_LOG"`
	Traces       Traces
}

// Client holds the settings of the commands that speak to the API.
type Client struct {
	URL          string   `setting:"TOCSIN_URL"` // without a slash at its end
	Tokens       []string `setting:"TOCSIN_TOKEN"`
	ConfirmAbove int      `setting:"TOCSIN_CONFIRM_ABOVE"` // recipients; more are confirmed by typing their number
}

// Bounces holds the settings of the command bounces. At least one of Listen, LMTP, Maildir and IMAP is set.
type Bounces struct {
	URL        string   `setting:"TOCSIN_URL"`
	Tokens     []string `setting:"TOCSIN_TOKEN"`
	Listen     string   `setting:"TOCSIN_BOUNCES_LISTEN"`   // host:port of SMTP; "" = nowhere
	LMTP       string   `setting:"TOCSIN_BOUNCES_LMTP"`     // host:port, or the path of a socket; "" = nowhere
	Maildir    string   `setting:"TOCSIN_BOUNCES_MAILDIR"`  // a directory; "" = none
	IMAP       string   `setting:"TOCSIN_BOUNCES_IMAP_URL"` // holds the password; "" = none
	HTTP       string   `setting:"TOCSIN_BOUNCES_HTTP"`     // host:port of health and metrics; "" = nowhere
	ReturnPath string   `setting:"TOCSIN_RETURN_PATH"`      // as of Mail
	Log        string   `setting:"TOCSIN_LOG"`              // as of Serve
	Domains    []string // of ReturnPath and of the relays' return paths, in lower case: mails to them are taken
}

// Token returns the token that a client shows, the first of two; "" = none.
func (c Client) Token() string {
	if len(c.Tokens) == 0 {
		return ""
	}
	return c.Tokens[0]
}

// Migrate holds the settings of the command migrate.
type Migrate struct {
	DatabaseURL string `setting:"DATABASE_URL"`
}

// Templates holds the settings of the command templates check.
type Templates struct {
	Dir string `setting:"TOCSIN_TEMPLATE_DIR"` // as of Mail
}

// Signing holds the settings of the commands that keep DKIM keys.
type Signing struct {
	From string `setting:"TOCSIN_FROM"` // as of Mail
	DKIM []DKIM `setting:"dkim"`
}

// Sink holds the settings of the command sink.
type Sink struct {
	Log string `setting:"TOCSIN_LOG"` // as of Serve
}

// Serve returns the settings of the command serve. The error joins all that is wrong with them.
func (s *Settings) Serve() (c Serve, err error) {
	err = s.fill(&c, "DATABASE_URL", "REDIS_URL")
	if c.OIDC.Issuer != "" && c.ConsoleURL == "" {
		err = errors.Join(err, notice.Invalid("TOCSIN_CONSOLE_URL", "is not set: TOCSIN_OIDC_ISSUER has to know where to send people back to"))
	}
	return c, err
}

// Work returns the settings of the command work. The error joins all that is wrong with them.
func (s *Settings) Work() (c Work, err error) {
	err = s.fill(&c, "DATABASE_URL", "REDIS_URL", "TOCSIN_SMTP_URL", "TOCSIN_FROM")
	return c, err
}

// Client returns the settings of the commands that speak to the API.
func (s *Settings) Client() (c Client, err error) {
	err = s.fill(&c)
	return c, err
}

// Bounces returns the settings of the command bounces. The error joins all that is wrong with them.
func (s *Settings) Bounces() (c Bounces, err error) {
	err = s.fill(&c)
	if err == nil && c.Listen+c.LMTP+c.Maildir+c.IMAP == "" {
		err = notice.Invalid("TOCSIN_BOUNCES_LISTEN", "is not set, and none of TOCSIN_BOUNCES_LMTP, TOCSIN_BOUNCES_MAILDIR and "+
			"TOCSIN_BOUNCES_IMAP_URL: where do mails come back to?")
	}
	for _, path := range append(s.file.returnPaths(), c.ReturnPath) {
		if _, domain, ok := strings.Cut(path, "@"); ok {
			c.Domains = append(c.Domains, strings.ToLower(domain))
		}
	}
	return c, err
}

// Migrate returns the settings of the command migrate.
func (s *Settings) Migrate() (c Migrate, err error) {
	err = s.fill(&c, "DATABASE_URL")
	return c, err
}

// Templates returns the settings of the command templates check.
func (s *Settings) Templates() (c Templates, err error) {
	err = s.fill(&c)
	return c, err
}

// Signing returns the settings of the commands that keep DKIM keys.
func (s *Settings) Signing() (c Signing, err error) {
	err = s.fill(&c)
	return c, err
}

// Sink returns the settings of the command sink.
func (s *Settings) Sink() (c Sink, err error) {
	err = s.fill(&c)
	return c, err
}
