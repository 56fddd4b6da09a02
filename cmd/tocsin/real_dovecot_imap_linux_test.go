package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// TestDovecotHasAMailboxOfBounces has mails come back into a mailbox of a Dovecot. tocsin bounces drains it once, then
// follows it over a lost connection, and can't open it with a wrong password.
func TestDovecotHasAMailboxOfBounces(t *testing.T) {
	testkit.Large(t, "TestAnIMAPMailboxIsDrained")
	r := apartWith(t, "dovecot-imapd")
	if r == nil {
		return
	}
	const dead = 40
	s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
	r.file("dovecot/dovecot.conf", r.settings(dovecotConf+dovecotIMAP, s.sink.Addr()))
	r.run([]string{"dovecot", "dovenull"}, "dovecot", "-F")
	box := openMailbox(r)
	url := strings.Replace(r.url("ada:secret@"), "smtp://", "imaps://", 1) + "/" + imapFolder
	as := []string{"TOCSIN_TOKEN=" + s.bouncesToken(), "SSL_CERT_FILE=" + os.Getenv("SSL_CERT_FILE")}
	at := func(url string) *system { return s.with(append(slices.Clone(as), "TOCSIN_BOUNCES_IMAP_URL="+url)...) }

	s.customers(dead + 10)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	var back [][]byte
	for _, m := range s.sink.Mails()[:dead] {
		back = append(back, dsn(m.MailFrom, "5.2.2", "552 5.2.2 mailbox full", "Message-ID: "+m.MessageID))
	}

	if _, errs, code := at(strings.Replace(url, "secret", "hunter2", 1)).run("bounces", "--once"); code != exitFailed || !strings.Contains(errs, "log in to the IMAP server") || strings.Contains(errs, "hunter2") {
		t.Errorf("a wrong password: exit %d, %s", code, errs)
	}
	if _, errs, code := at(url+"-gone").run("bounces", "--once"); code != exitFailed || !strings.Contains(errs, "open the mailbox") {
		t.Errorf("a mailbox that is not there: exit %d, %s", code, errs)
	}
	box.put(back[:10]...)
	box.put([]byte("Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n"))
	if _, errs, code := at(url).run("bounces", "--once"); code != exitDone {
		t.Errorf("exit %d, %s", code, errs)
	}
	if st := s.status("outage-1"); st.Counts["bounced"] != 10 || st.Counts["sent"] != dead {
		t.Errorf("after the first ten: %v", st.Counts)
	}
	if n := box.count(unseen); n != 0 {
		t.Errorf("%d mails are not marked as read", n)
	}

	bounces := at(url).launch("bounces")
	bounced := func(n int) func(notice.Status) bool {
		return func(st notice.Status) bool { return st.Counts["bounced"] == n }
	}
	box.put(back[10:20]...)
	s.await("outage-1", "ten more have come", bounced(20))
	if out, err := exec.Command("/usr/bin/doveadm", "kick", "ada").CombinedOutput(); err != nil {
		t.Errorf("doveadm: %v\n%s", err, out)
	}
	box = openMailbox(r) // it was the same user's
	box.put(back[20:]...)
	box.put(back[:5]...) // they come once more, and change nothing
	st := s.await("outage-1", "all have come", bounced(dead))
	if st.Counts["sent"] != 10 || st.Recipients != dead+10 {
		t.Errorf("at last: %v", st.Counts)
	}
	until(t, "all mails are marked as read", func() bool { return box.count(seen) == dead+6 && box.count(unseen) == 0 })
	if code := bounces.stop(); code != exitDone {
		t.Errorf("it ended with %d", code)
	}
	if log := bounces.log.String(); strings.Contains(log, "secret") || strings.Contains(log, "bounces+") {
		t.Errorf("the log holds a password or addresses:\n%s", log)
	}
}

// imapFolder is a folder in a folder, as Dovecot names it.
const imapFolder = "Returned.In"

// imapBox is imapFolder, as another client sees it.
type imapBox struct {
	r *debianRelay
	*imapclient.Client
}

// openMailbox logs in, and makes the mailbox if there is none.
func openMailbox(r *debianRelay) imapBox {
	r.Helper()
	c, err := imapclient.DialTLS(r.address, &imapclient.Options{TLSConfig: &tls.Config{InsecureSkipVerify: true}}) // tocsin verifies
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	if err := c.Login("ada", "secret").Wait(); err != nil {
		r.Fatal(err)
	}
	if _, err := c.Select(imapFolder, nil).Wait(); err != nil {
		if err := c.Create(imapFolder, nil).Wait(); err != nil {
			r.Fatal(err)
		}
		if _, err := c.Select(imapFolder, nil).Wait(); err != nil {
			r.Fatal(err)
		}
	}
	return imapBox{r, c}
}

func (b imapBox) put(mails ...[]byte) {
	b.r.Helper()
	for _, raw := range mails {
		cmd := b.Append(imapFolder, int64(len(raw)), nil)
		_, err := cmd.Write(raw)
		if err == nil {
			err = cmd.Close()
		}
		if err == nil {
			_, err = cmd.Wait()
		}
		if err != nil {
			b.r.Fatal(fmt.Errorf("append: %w", err))
		}
	}
}

// count counts the mails that are found.
func (b imapBox) count(which *imap.SearchCriteria) int {
	b.r.Helper()
	if err := b.Noop().Wait(); err != nil { // the server tells of other clients' changes
		b.r.Fatal(err)
	}
	found, err := b.UIDSearch(which, nil).Wait()
	if err != nil {
		b.r.Fatal(err)
	}
	return len(found.AllUIDs())
}

var (
	seen   = &imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}
	unseen = &imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}
)

const dovecotIMAP = `protocols = imap
service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = PORT
  }
}
`
