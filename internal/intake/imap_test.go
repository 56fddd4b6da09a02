package intake

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// imapHost is an IMAP server with the mailbox Bounces/In of a user; its answers can be made worse.
type imapHost struct {
	t       *testing.T
	user    *imapmemserver.User
	server  *imapserver.Server
	ln      net.Listener
	account Account

	mu       sync.Mutex
	conns    []net.Conn
	noStores int    // so many STOREs fail
	noIdle   bool   // IDLE is not offered
	readOnly bool   // no flags are kept
	ghost    uint32 // a UID that is found and not there
}

func startIMAP(t *testing.T, implicit bool) *imapHost {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	certificate := web.TLS.Certificates[0]
	authorities := x509.NewCertPool()
	authorities.AddCert(web.Certificate())
	web.Close()
	h := &imapHost{t: t, user: imapmemserver.NewUser("ada@example.net", "s3cret/%")}
	if err := h.user.Create("Bounces/In", nil); err != nil {
		t.Fatal(err)
	}
	memory := imapmemserver.New()
	memory.AddUser(h.user)
	secure := &tls.Config{Certificates: []tls.Certificate{certificate}}
	h.server = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return &worse{memory.NewSession(), h}, nil, nil
		},
		TLSConfig:    secure,
		InsecureAuth: true,
		Logger:       log.New(io.Discard, "", 0), // its connections may end after the test
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.ln = ln
	scheme := "imap"
	var l net.Listener = &imapListener{ln, h}
	if implicit {
		l, scheme = tls.NewListener(l, secure), "imaps"
	}
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(l) }()
	t.Cleanup(func() { h.server.Close(); <-served })
	h.account, err = ParseAccount(fmt.Sprintf("%s://ada%%40example.net:s3cret%%2F%%25@%s/Bounces/In", scheme, ln.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	h.account.tls = &tls.Config{RootCAs: authorities}
	return h
}

// imapListener keeps the connections, and strikes IDLE out of the answers on those in plain text.
type imapListener struct {
	net.Listener
	h *imapHost
}

func (l *imapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	l.h.conns = append(l.h.conns, conn)
	if l.h.noIdle {
		conn = struckConn{conn}
	}
	return conn, nil
}

type struckConn struct{ net.Conn }

func (c struckConn) Write(b []byte) (int, error) {
	_, err := c.Conn.Write(bytes.ReplaceAll(b, []byte(" IDLE"), nil))
	return len(b), err
}

// worsen changes the faults.
func (h *imapHost) worsen(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// cut ends all connections.
func (h *imapHost) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.Close()
	}
	h.conns = nil
}

func (h *imapHost) deliver(subject string, flags ...imap.Flag) {
	h.t.Helper()
	h.put(letter(subject), flags...)
}

func (h *imapHost) put(mail string, flags ...imap.Flag) {
	h.t.Helper()
	if _, err := h.user.Append("Bounces/In", literal{bytes.NewReader([]byte(mail))}, &imap.AppendOptions{Flags: flags}); err != nil {
		h.t.Fatal(err)
	}
}

type literal struct{ *bytes.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

// flags returns the flags of each mail, by its subject.
func (h *imapHost) flags() map[string]string {
	h.t.Helper()
	c, err := h.account.connect(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Select("Bounces/In", nil).Wait(); err != nil {
		h.t.Fatal(err)
	}
	all := imap.SeqSet{}
	all.AddRange(1, 0)
	mails, err := c.Fetch(all, &imap.FetchOptions{Flags: true, Envelope: true}).Collect()
	if err != nil {
		h.t.Fatal(err)
	}
	flags := map[string]string{}
	for _, m := range mails {
		var names []string
		for _, f := range m.Flags {
			names = append(names, string(f))
		}
		slices.Sort(names)
		flags[m.Envelope.Subject] = strings.Join(names, " ")
	}
	return flags
}

// awaitSeen waits until a mail is flagged as taken.
func (h *imapHost) awaitSeen(subject string) {
	h.t.Helper()
	for deadline := time.Now().Add(time.Minute); h.flags()[subject] != `\Seen`; {
		if time.Now().After(deadline) {
			h.t.Fatal("it is not flagged")
		}
	}
}

// worse is a session with the faults of its host.
type worse struct {
	imapserver.Session
	h *imapHost
}

func (s *worse) Select(name string, o *imap.SelectOptions) (*imap.SelectData, error) {
	data, err := s.Session.Select(name, o)
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if err == nil && s.h.readOnly {
		data.PermanentFlags = []imap.Flag{imap.FlagDraft}
	}
	return data, err
}

func (s *worse) Search(kind imapserver.NumKind, c *imap.SearchCriteria, o *imap.SearchOptions) (*imap.SearchData, error) {
	data, err := s.Session.Search(kind, c, o)
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if set, ok := data.All.(imap.UIDSet); ok && s.h.ghost > 0 {
		set.AddNum(imap.UID(s.h.ghost))
		data.All = set
	}
	return data, err
}

// Idle announces what comes in within milliseconds. The IDLE of the memory server forgets a mail that came just before it.
func (s *worse) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		if err := s.Poll(w, true); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-look.C:
		}
	}
}

func (s *worse) Store(w *imapserver.FetchWriter, set imap.NumSet, flags *imap.StoreFlags, o *imap.StoreOptions) error {
	s.h.mu.Lock()
	fails := s.h.noStores > 0
	s.h.noStores--
	s.h.mu.Unlock()
	if fails {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Text: "Disk full"}
	}
	return s.Session.Store(w, set, flags, o)
}

func TestAnIMAPMailboxIsDrained(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{true, false} {
		t.Run(fmt.Sprintf("TLS from the first byte: %t", implicit), func(t *testing.T) {
			t.Parallel()
			b, h := newBundle(t), startIMAP(t, implicit)
			h.worsen(func() { h.ghost = 999 })
			h.deliver("one")
			h.deliver("poison")
			h.deliver("later")
			h.deliver("seen", imap.FlagSeen)
			h.deliver("flagged", imap.FlagFlagged)
			h.put(letter("long") + strings.Repeat("x", 3<<20))
			tally, err := b.NewMailbox(h.account).Drain(t.Context())
			if err != nil || tally != (Tally{Taken: 2, Refused: 1, Left: 1}) {
				t.Errorf("%+v, %v", tally, err)
			}
			want := map[string]string{"one": `\Seen`, "poison": `\Flagged`, "later": "", "seen": `\Seen`, "flagged": `\Flagged`, "long": `\Seen`}
			if got := h.flags(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("flags are %v, want %v", got, want)
			}
			taken, _ := b.mails()
			if len(taken) != 2 || taken[0] != letter("one") || len(taken[1]) != MaxMail {
				t.Errorf("%d taken", len(taken))
			}
		})
	}
}

func TestAnIMAPMailboxIsFollowed(t *testing.T) {
	t.Parallel()
	for name, noIdle := range map[string]bool{"with IDLE": false, "by polling": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, h := newBundle(t), startIMAP(t, false)
			h.worsen(func() { h.noIdle = noIdle })
			m := b.NewMailbox(h.account)
			m.refresh = time.Hour // news must come by IDLE
			if noIdle {
				m.poll = 10 * time.Millisecond
			}
			h.deliver("before")
			stop := run(t, m)
			b.awaitTaken(t, "before")
			h.deliver("while it waits")
			b.awaitTaken(t, "while it waits")
			h.awaitSeen("while it waits")
			h.cut()
			h.deliver("while it is cut off")
			b.awaitTaken(t, "while it is cut off")
			b.setAway(true)
			h.deliver("while the API is away")
			b.until(t, func([]string) bool { _, counts := b.mails(); return counts[Left] > 0 })
			if got := h.flags()["while the API is away"]; got != "" {
				t.Errorf("the flags of a mail that was left are %q", got)
			}
			b.setAway(false)
			b.awaitTaken(t, "while the API is away")
			h.deliver("slow")
			b.awaitBegun(t)
			ended := make(chan struct{})
			go func() { stop(); close(ended) }()
			b.may <- struct{}{}
			<-ended
			for subject, flags := range h.flags() {
				if flags != `\Seen` {
					t.Errorf("%s has %q", subject, flags)
				}
			}
			if taken, _ := b.mails(); len(taken) != 5 {
				t.Errorf("%d were taken", len(taken))
			}
		})
	}
}

func TestAMailWhoseFlagIsNotKeptIsNotLost(t *testing.T) {
	t.Parallel()
	b, h := newBundle(t), startIMAP(t, false)
	h.worsen(func() { h.noStores = 1 })
	h.deliver("one")
	run(t, b.NewMailbox(h.account))
	b.await(t, 2) // it is offered again
	h.awaitSeen("one")
	for deadline := time.Now().Add(time.Minute); b.Ready(t.Context()) != nil; h.flags() {
		if time.Now().After(deadline) {
			t.Fatal("it is never ready again")
		}
	}
}

func TestAnIMAPMailboxThatCanNotBeRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*imapHost)
		want   string
	}{
		"wrong password":         {func(h *imapHost) { h.account.Password = "x" }, "log in to the IMAP server: imap: NO"},
		"no such mailbox":        {func(h *imapHost) { h.account.Mailbox = "gone" }, "open the mailbox: imap: NO"},
		"read-only":              {func(h *imapHost) { h.worsen(func() { h.readOnly = true }) }, "it is read-only"},
		"an unknown certificate": {func(h *imapHost) { h.account.tls = nil }, "certificate signed by unknown authority"},
		"nobody listens":         {func(h *imapHost) { h.ln.Close() }, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, h := newBundle(t), startIMAP(t, true)
			h.deliver("one")
			tt.change(h)
			_, err := b.NewMailbox(h.account).Drain(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if taken, _ := b.mails(); len(taken) != 0 {
				t.Errorf("%d were taken", len(taken))
			}
		})
	}
}

// TestAStalledIMAPServerEndsWithTheProcess has one that takes connections and says nothing.
func TestAStalledIMAPServerEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b := newBundle(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			cancel()
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	_, err = b.NewMailbox(Account{Addr: ln.Addr().String(), Implicit: true, User: "a", Password: "b", Mailbox: "INBOX"}).Drain(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestParseAccount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"imaps://ada:s3cret@imap.example.net":            "imap.example.net:993 true ada s3cret INBOX",
		"imap://a%40b:s%2Fx@[::1]:1143/Bounces/In%20Box": "[::1]:1143 false a@b s/x Bounces/In Box",
		"imaps://imap.example.net/INBOX":                 "has no user and password",
		"imaps://ada@imap.example.net/INBOX":             "has no user and password",
		"http://ada:s3cret@imap.example.net":             "is not a URL such as",
		"imaps://ada:s3cret@/INBOX":                      "is not a URL such as",
		"imaps://ada:s3%cret@imap.example.net":           "is not a URL such as",
		"imaps://ada:s3cret@imap.example.net/?x=y":       "is not a URL such as",
	} {
		a, err := ParseAccount(text)
		got := fmt.Sprint(a.Addr, " ", a.Implicit, " ", a.User, " ", a.Password, " ", a.Mailbox)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err != nil && strings.Contains(got, "s3cret") {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
