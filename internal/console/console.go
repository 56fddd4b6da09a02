// Package console serves Tocsin's pages for people: support and operations.
//
// Each page is made by the server from one typed view; its live parts are the page's own partials, sent again over
// server-sent events. It works without script. Package api admits requests, routes them by its one table of roles, and
// adds the routes of this package.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
	"tocsin/internal/oidc"
	"tocsin/internal/queue"
)

// Book is the console's view of the ledger; package ledger implements it.
type Book interface {
	// Notices is a page of the notices, the newest first.
	Notices(ctx context.Context, p notice.Page) ([]notice.Status, error)
	Status(ctx context.Context, ref string) (notice.Status, error)
	// Senders says how the workers that are alive are set up.
	Senders(ctx context.Context) (notice.Senders, error)
	// Holds are the times in which nothing leaves, now and to come.
	Holds(ctx context.Context) ([]notice.Hold, error)
	Report(ctx context.Context, ref string) (notice.Report, error)
	IncidentReport(ctx context.Context, incident string) (notice.Report, error)
	// Progress is how many mails of a notice relays took over time.
	Progress(ctx context.Context, noticeID int64) (notice.Progress, error)
	// DomainProgress is how far the domains with the most mails of a notice are.
	DomainProgress(ctx context.Context, noticeID int64, most int) ([]notice.DomainProgress, error)
	// Deliveries is a page of a notice's deliveries, by seq.
	Deliveries(ctx context.Context, noticeID int64, p notice.DeliveryPage) ([]notice.Delivery, error)
	Relays(ctx context.Context) ([]notice.Relay, error)
	// Limits are those of domains that operators have set.
	Limits(ctx context.Context) ([]notice.DomainLimit, error)
	// Suppressions is a page of the list of suppressions, by number. SuppressionsOf are the entries for an address key, or for its domain.
	Suppressions(ctx context.Context, after int64, limit int) ([]notice.Suppression, error)
	SuppressionsOf(ctx context.Context, key string) ([]notice.Suppression, error)
	Suppress(ctx context.Context, row notice.SuppressionRow, who string) (s notice.Suppression, created bool, err error)
	UnsuppressNumber(ctx context.Context, number int64) error
	Acts(ctx context.Context, p notice.ActPage) ([]notice.Act, error)
	Tokens(ctx context.Context) ([]notice.Token, error)
	AddToken(ctx context.Context, t notice.Token, hash [32]byte, who string) (notice.Token, error)
	RevokeToken(ctx context.Context, name, who string) (notice.Token, error)
	Users(ctx context.Context) ([]notice.User, error)
	AddUser(ctx context.Context, u notice.User, who string) (notice.User, error)
	AddLink(ctx context.Context, name string, hash [32]byte, span time.Duration, who string) (notice.User, error)
	SetUserRole(ctx context.Context, name string, role notice.TokenRole, who string) (notice.User, error)
	RemoveUser(ctx context.Context, name, who string) (notice.User, error)
	// NoticeBody is the body of a notice, by its key or number.
	NoticeBody(ctx context.Context, ref string) (notice.Body, error)
	// SavedDrafts are the directories that people write here, the last changed first, each with its notice.yaml alone.
	SavedDrafts(ctx context.Context) ([]notice.SavedDraft, error)
	SavedDraft(ctx context.Context, id int64) (notice.SavedDraft, error)
	AddSavedDraft(ctx context.Context, files map[string][]byte, who string) (id int64, err error)
	// SaveDraft changes a version of a draft; class conflict where it has another one by now.
	SaveDraft(ctx context.Context, id int64, version int, files map[string][]byte, who string) (now int, err error)
	DeleteSavedDraft(ctx context.Context, id int64, who string) error
	// Session is the session with the hash of its secret; class not_found where there is none.
	Session(ctx context.Context, hash [32]byte, idle time.Duration) (notice.Session, error)
	BeginSession(ctx context.Context, name string, hash [32]byte, how string) (notice.User, error)
	// Federate begins a session of a person that an issuer names, and adds them at the first.
	Federate(ctx context.Context, u notice.User, subject string, session [32]byte) (notice.User, error)
	EndSession(ctx context.Context, hash [32]byte) error
	TakeLink(ctx context.Context, link, session [32]byte) (notice.User, error)
	Password(ctx context.Context, name string) (hash string, err error)
	SetPassword(ctx context.Context, name, hash string, keep [32]byte) (notice.User, error)
}

// Desk answers questions about mails; package control implements it.
type Desk interface {
	// Message makes the mail of a delivery again, and says whether it is the one that was sent.
	Message(ctx context.Context, ref string, seq int) (notice.Message, error)
	// Look answers whether they got it. The text is an address, an id, a name, a Message-ID or the id of a relay's queue; ref is the notice, or ""
	// for all.
	Look(ctx context.Context, text, ref string) (notice.Found, error)
	// LookAt is the same of one delivery of a notice.
	LookAt(ctx context.Context, ref string, seq int) (notice.Found, error)
	// Ready are the ready texts that notices may name, with their phrases in a language.
	Ready(lang string) notice.Ready
	// Crowd counts the audience of a body that is being written.
	Crowd(ctx context.Context, b notice.Body) (notice.Crowd, error)
	// Sample is a mail of a body that is being written.
	Sample(ctx context.Context, b notice.Body, s notice.Sampling) (notice.Sample, error)
	// Draft makes a draft notice, or replaces the one of the same key.
	Draft(ctx context.Context, b notice.Body, who string) (st notice.Status, created bool, err error)
	// Preview is the dry run of a body. Of one that is a draft its plan is kept.
	Preview(ctx context.Context, b notice.Body, v notice.Previewing) (notice.Plan, error)
	// PreviewDraft is the dry run of a draft: its plan is kept.
	PreviewDraft(ctx context.Context, ref string, v notice.Previewing) (notice.Plan, error)
	// ReviewDraft is PreviewDraft without keeping anything: a plan that waits for approval stays.
	ReviewDraft(ctx context.Context, ref string, v notice.Previewing) (notice.Plan, error)
	// Release lets a draft go to the plan that was shown.
	Release(ctx context.Context, ref string, r notice.Releasing, who string) (st notice.Status, released bool, err error)
	// Pause stops a notice until it is resumed.
	Pause(ctx context.Context, ref, who string) (notice.Status, error)
	Resume(ctx context.Context, ref string, r notice.Resuming, who string) (notice.Status, error)
	// Cancel stops a notice for good.
	Cancel(ctx context.Context, ref, who string) (notice.Status, error)
	// Approve releases the plan that was shown, in the name of another person than the authors.
	Approve(ctx context.Context, ref string, a notice.Approving, who string) (st notice.Status, released bool, err error)
	// Library lists the ready texts, and Example is a mail of one for a customer who does not exist.
	Library() notice.Library
	Example(template, phase, language string) (notice.Sample, error)
	// Suppressing reads an entry for the list of suppressions as a person writes it.
	Suppressing(address, reason string, scope notice.Scope) (notice.SuppressionRow, error)
	// AddAddress sends a released notice to another address of a customer, once.
	AddAddress(ctx context.Context, ref string, a notice.Adding, who string) (notice.Added, error)
}

// Options are the parts of a Console. Book, Desk and Log are needed.
type Options struct {
	Book Book
	Desk Desk
	Log  *slog.Logger
	// Queues says how full the queues are; nil = there is nothing to say.
	Queues func(ctx context.Context) ([]queue.Standing, error)
	// Pace says how the workers and the relays are; nil = there is nothing to say.
	Pace func(ctx context.Context) (*notice.Pace, error)
	// URL is where people reach the console, without a slash at the end; "" = by the host that they ask for.
	URL string
	// Idle is how long a session lasts that is not used; 0 = 12 hours.
	Idle time.Duration
	// OIDC is the issuer at which people sign in; nil = with passwords and links alone.
	OIDC *oidc.Client
	// Registry gets the console's metrics; nil = they are not to be had.
	Registry *prometheus.Registry
	// Version is Tocsin's.
	Version string
}

// refusalsName is the metric of sign-ins that were refused.
const refusalsName = "tocsin_console_sign_ins_refused_total"

// Console is the pages for people.
type Console struct {
	Options
	pages   map[string]*page
	words   words
	guesses *guesses
	speeds  *speeds
	tallies *tallies
	going   *progresses

	refusals *prometheus.CounterVec
	ending   chan struct{}
	end      func()
}

// New returns a console.
func New(o Options) *Console {
	if o.Idle == 0 {
		o.Idle = 12 * time.Hour
	}
	c := &Console{Options: o, words: readWords(), guesses: newGuesses(), speeds: newSpeeds(), tallies: newTallies(o.Log), going: newProgresses(o.Log),
		ending: make(chan struct{})}
	c.pages = parsePages()
	c.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{Name: refusalsName, Help: "Sign-ins to the console that were refused."}, []string{"how", "reason"})
	if c.Registry != nil {
		c.Registry.MustRegister(c.refusals)
	}
	c.end = sync.OnceFunc(func() { close(c.ending) })
	return c
}

// EndStreams ends the streams of live parts: they would keep a server that is to stop.
func (c *Console) EndStreams() { c.end() }

// Routes are the handlers of the console, by their patterns.
func (c *Console) Routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"GET /assets/{file}": serveAsset,

		"GET /sign-in":       c.signIn,
		"POST /sign-in":      c.signInByPassword,
		"GET /sign-in/link":  c.showLink,
		"POST /sign-in/link": c.signInByLink,

		"GET /sign-in/oidc":      c.signInAtIssuer,
		"GET /sign-in/oidc/back": c.backFromIssuer,

		"POST /sign-out":           c.signOut,
		"GET /account":             c.account,
		"POST /account/password":   c.setPassword,
		"GET /{$}":                 c.live("home", c.home, "notices"),
		"GET /now":                 c.live("now", c.now, "now"),
		"GET /notices/{id}":        c.live("notice", c.notice, "standing"),
		"GET /notices/{id}/mails":  c.show("mails", c.mails),
		"POST /notices/{id}/mails": c.show("mails", c.mails),
		"GET /notices/{id}/again":  c.nextNotice,

		"GET /compose":                  c.show("composing", c.composing),
		"POST /compose":                 c.beginDraft,
		"POST /compose/import":          c.importDraft,
		"GET /compose/{draft}":          c.show("compose", c.compose),
		"POST /compose/{draft}":         c.saveDraft,
		"GET /compose/{draft}/audience": c.crowd,
		"POST /compose/{draft}/preview": c.preview,
		"POST /compose/{draft}/file":    c.addFile,
		"GET /compose/{draft}/export":   c.exportDraft,
		"POST /compose/{draft}/delete":  c.deleteSaved,
		"POST /notices/{id}/release":    c.release,

		"GET /notices/{id}/check":    c.show("check", c.askCheck),
		"POST /notices/{id}/check":   c.checkNotice,
		"POST /notices/{id}/pause":   c.pause,
		"POST /notices/{id}/resume":  c.resume,
		"GET /notices/{id}/cancel":   c.show("cancel", c.askCancel),
		"POST /notices/{id}/cancel":  c.cancel,
		"POST /notices/{id}/approve": c.approve,

		"GET /incidents/{id}": c.live("incident", c.incident, "standing"),

		"GET /notices/{id}/mails/{seq}":          c.live("mail", c.mail, "standing"),
		"GET /notices/{id}/mails/{seq}/html":     c.mailHTML,
		"GET /notices/{id}/mails/{seq}/source":   c.mailSource,
		"POST /notices/{id}/mails/{seq}/another": c.another,

		"GET /search":  c.show("search", c.search),
		"POST /search": c.show("search", c.search),
		"GET /acts":    c.show("acts", c.acts),
		"GET /queues":  c.live("queues", c.queues, "queues"),

		"GET /settings":                      c.show("settings", c.settings),
		"GET /templates":                     c.show("templates", c.templates),
		"GET /templates/example":             c.example,
		"GET /suppressions":                  c.show("suppressions", c.suppressions),
		"POST /suppressions/find":            c.show("suppressions", c.suppressions),
		"POST /suppressions":                 c.suppress,
		"POST /suppressions/{number}/remove": c.unsuppress,

		"GET /access":                       c.show("access", c.access),
		"POST /access/users":                c.addUser,
		"POST /access/users/{name}/link":    c.addLink,
		"POST /access/users/{name}/role":    c.setRole,
		"POST /access/users/{name}/remove":  c.removeUser,
		"POST /access/tokens":               c.addToken,
		"POST /access/tokens/{name}/revoke": c.revokeToken,
	}
	for pattern, handle := range routes {
		most := int64(64 << 10) // of a form
		if strings.HasPrefix(pattern, "POST /compose") {
			most = directory.MostBytes + 1<<20
		}
		routes[pattern] = guarded(limited(handle, most))
	}
	return routes
}

// policy keeps a page to the files of this server; nothing inline runs.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'"

// policyWith lets in the styles of mails, by their hashes, and pictures that stand in them.
func policyWith(styles []string) string {
	with := strings.Replace(policy, "style-src 'self'", "style-src 'self' "+strings.Join(slices.DeleteFunc(slices.Clone(styles), func(s string) bool { return s == "'none'" }), " "), 1)
	return strings.Replace(with, "img-src 'self'", "img-src 'self' data:", 1)
}

func guarded(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		handle(w, r)
	}
}

// limited bounds the body of a request.
func limited(handle http.HandlerFunc, most int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		handle(w, r)
	}
}
