package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/testkit"
)

// postfix is a Postfix of the test's own: its configuration, queue and log are in one temporary directory, and the
// machine's own Postfix, if it has one, is not touched.
type postfix struct {
	address string
	log     string
	config  string // its directory
	master  string // the program
	pid     string // the file that names the process of master
}

// startPostfix starts a Postfix that hands all mail on to next; more are lines for its main.cf. It needs root: without,
// the test is skipped.
func startPostfix(t *testing.T, next net.Addr, more ...string) postfix {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Postfix can be run by root alone")
	}
	program := testkit.Program(t, "postfix")
	dir, err := os.MkdirTemp("", "tocsin-postfix-") // the testing package's are closed to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := postfix{address: freeAddress(t), log: filepath.Join(dir, "log", "mail.log"), config: filepath.Join(dir, "etc"),
		pid: filepath.Join(dir, "queue", "pid", "master.pid")}
	for _, sub := range []string{"", "etc", "etc/sasl", "queue", "data", "log"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, sub), 0o755), os.Chmod(filepath.Join(dir, sub), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	if err := os.Chown(filepath.Join(dir, "data"), uid, gid); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "etc", "main.cf"), strings.NewReplacer("DIR", dir, "NEXT", smtpNext(next)).Replace(mainCF)+strings.Join(more, "\n")+"\n")
	write(t, filepath.Join(dir, "etc", "master.cf"), p.address+masterCF)
	// As many set it up: passwords are asked of saslauthd, and the list of mechanisms is the library's own.
	sasl := filepath.Join(dir, "etc", "sasl", "smtpd.conf")
	write(t, sasl, "pwcheck_method: saslauthd\nsaslauthd_path: "+p.saslauthd()+"\n")
	if err := os.Chmod(sasl, 0o644); err != nil {
		t.Fatal(err)
	}

	if out, err := exec.Command(program, "-c", p.config, "check").CombinedOutput(); err != nil { // makes the queue
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	programs, err := exec.Command(testkit.Program(t, "postconf"), "-c", p.config, "-h", "daemon_directory").Output()
	if err != nil {
		t.Fatal(err)
	}
	p.master = filepath.Join(strings.TrimSpace(string(programs)), "master")
	p.run(t)
	return p
}

// run runs Postfix until the test ends, and returns when it listens.
func (p postfix) run(t *testing.T) {
	t.Helper()
	// The shell ends Postfix when its standard input ends, which it also does when we die.
	cmd := exec.Command("/bin/sh", "-c", `exec 3<&0; "$0" -d -c "$1" & read _ <&3; kill $!; wait`, p.master, p.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	life, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		life.Close()
		<-ended
		if t.Failed() {
			log, _ := os.ReadFile(p.log)
			t.Logf("Postfix said:\n%s", lastLines(string(log), 60))
		}
	})
	awaitListening(t, "Postfix", p.address, ended)
}

// awaitListening waits until a server takes connections.
func awaitListening(t *testing.T, name, address string, ended <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s does not start", name)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", name)
		}
	}
}

// kill is kill -9 of all of Postfix's processes, which are the group of its master.
func (p postfix) kill(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		t.Fatalf("the file of the master's process says %q", text)
	}
	group, err := syscall.Getpgid(pid)
	if err != nil || group == syscall.Getpgrp() {
		t.Fatalf("Postfix has no process group of its own: %d, %v", group, err)
	}
	if err := syscall.Kill(-group, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// saslauthd is the socket that passwords are asked at.
func (p postfix) saslauthd() string { return filepath.Join(p.config, "sasl", "mux") }

// follow returns the queue files and log lines of a mail that Postfix answered with "queued as" and the id.
func (p postfix) follow(answer string) string {
	id := answer[strings.LastIndex(answer, " ")+1:]
	found, _ := exec.Command("find", filepath.Join(filepath.Dir(p.config), "queue"), "-name", id+"*", "-ls").CombinedOutput()
	log, _ := exec.Command("grep", "-F", id, p.log).CombinedOutput()
	return string(found) + string(log)
}

func smtpNext(next net.Addr) string {
	host, port, _ := net.SplitHostPort(next.String())
	return "[" + host + "]:" + port
}

const mainCF = `compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/log/mail.log
maillog_file_prefixes = DIR/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.test
mydestination =
local_recipient_maps =
local_transport = error:none
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = smtp:NEXT
disable_dns_lookups = yes
smtpd_peername_lookup = no
fast_flush_domains =
`

const masterCF = ` inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
local unix - n n - - local
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`
