package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/testkit"
)

// debianRelay is a mail server from Debian that is not installed. It runs where testkit.Apart has mounts and a network of
// the test's own: with the files of its packages over /usr, and its settings over /etc.
type debianRelay struct {
	*testing.T
	usr, etc string // are laid over /usr and /etc
	data     string // a directory that the server may write in
	address  string // where it listens
}

// host is the name of a debianRelay, as its certificate has it.
const host = "relay.test"

// apartWith has a test go on in a process of its own, to run a server from these Debian packages there. Elsewhere it
// returns nil: the test is over. It is skipped where the packages can't be had or there can be no such process.
func apartWith(t *testing.T, packages ...string) *debianRelay {
	t.Helper()
	testkit.Large(t, "TestAPostfixThatIsParticular")
	root, err := testkit.Debian(t.Context(), packages...)
	if err != nil {
		t.Skipf("there is no %s: %v", packages[0], err)
	}
	inside, err := testkit.Apart(t)
	if err != nil {
		t.Skipf("%s can't run: %v", packages[0], err)
	}
	if !inside {
		return nil
	}
	dir, err := os.MkdirTemp("", "tocsin-relay-") // the testing package's are closed to the server's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &debianRelay{T: t, usr: filepath.Join(root, "usr"), etc: filepath.Join(dir, "etc"), data: filepath.Join(dir, "data"), address: freeAddress(t)}
	for _, d := range []string{dir, r.etc, r.data} {
		if err := errors.Join(os.MkdirAll(d, 0o755), os.Chmod(d, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// file writes a file of /etc, which everybody can read.
func (r *debianRelay) file(name, text string) {
	r.Helper()
	path := filepath.Join(r.etc, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.Fatal(err)
	}
}

// run starts the server, by these arguments, for these users of its own, the first of which owns its data. It returns
// when the server listens.
func (r *debianRelay) run(users []string, args ...string) {
	r.Helper()
	passwd, groups := string(read(r.T, "/etc/passwd")), string(read(r.T, "/etc/group"))
	const first = 64_900 // Debian gives these numbers on request alone
	for i, name := range users {
		passwd += fmt.Sprintf("%s:x:%d:%[2]d::/nonexistent:/usr/sbin/nologin\n", name, first+i)
		groups += fmt.Sprintf("%s:x:%d:\n", name, first+i)
	}
	r.file("passwd", passwd)
	r.file("group", groups)
	r.file("hosts", "127.0.0.1 localhost "+host+"\n")
	c := newCertificates(r.T)
	r.Setenv("SSL_CERT_FILE", c.authority)
	key, err := x509.MarshalPKCS8PrivateKey(c.valid.PrivateKey)
	if err != nil {
		r.Fatal(err)
	}
	r.file("relay.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.valid.Certificate[0]})))
	r.file("relay.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	if err := os.Chown(r.data, first, first); err != nil {
		r.Fatal(err)
	}
	for dir, over := range map[string]string{r.usr: "/usr", r.etc: "/etc"} {
		if err := testkit.Overlay(dir, over); err != nil {
			r.Skipf("%s can't run: %v", args[0], err)
		}
	}

	server := &program{Cmd: exec.Command("/usr/sbin/"+args[0], args[1:]...), done: make(chan struct{}), log: &safeBuffer{}}
	server.Stdout, server.Stderr = server.log, server.log
	server.SysProcAttr = &syscall.SysProcAttr{}
	dieWithUs(server.SysProcAttr)
	if err := server.Start(); err != nil {
		r.Fatal(err)
	}
	go func() { server.Wait(); close(server.done) }()
	r.Cleanup(func() {
		server.stop()
		if r.Failed() {
			r.Logf("%s said:\n%s%s", args[0], server.log, lastLines(r.log(), 60))
		}
	})
	awaitListening(r.T, args[0], r.address, server.done)
}

// log is the log of the server.
func (r *debianRelay) log() string { return string(read(r.T, filepath.Join(r.data, "mainlog"))) }

// url is that of the relay, for a user with a password or for nobody.
func (r *debianRelay) url(user string) string {
	_, port, _ := net.SplitHostPort(r.address)
	return "smtp://" + user + host + ":" + port
}

// settings is a text with the places that it names put in.
func (r *debianRelay) settings(text string, next net.Addr) string {
	_, port, _ := net.SplitHostPort(r.address)
	_, nextPort, _ := net.SplitHostPort(next.String())
	return strings.NewReplacer("DATA", r.data, "HOST", host, "NEXTPORT", nextPort, "PORT", port).Replace(text)
}

// arrive waits until the sink has so many mails.
func (s *system) arrive(n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := s.sink.WaitFor(ctx, n); err != nil {
		s.t.Error(err)
	}
}

// throughAlone sends a notice to so many customers with the program itself, through this relay alone. The relay hands
// its mails on to the sink.
func (s *system) throughAlone(r *debianRelay, customers int) {
	s.t.Helper()
	before := s.sink.Count()
	*s = *s.with("TOCSIN_SMTP_URL="+r.url("ada:secret@"), "SSL_CERT_FILE="+os.Getenv("SSL_CERT_FILE"))
	s.customers(customers)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	s.await("outage-1", "finished", finished)
	s.arrive(before + customers)
	if st := s.settled("outage-1", 0); st.Counts["sent"] != customers || s.sink.Count() != before+customers {
		s.t.Errorf("%v of %d, and %d mails have come", st.Counts, customers, s.sink.Count()-before)
	}
}
