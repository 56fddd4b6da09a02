package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The yardstick is Postfix's smtp-source: it sends one fixed mail again and again, and keeps no account of it.

// postfixProgram finds smtp-source or smtp-sink.
func postfixProgram(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/lib/postfix/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not installed; Debian's package postfix has it", name)
}

// sourceRun sends a captured mail mails times over sessions connections and returns the figures of the run.
func sourceRun(relay, mail string, mails, sessions int) (r figures, err error) {
	program, err := postfixProgram("smtp-source")
	if err != nil {
		return r, err
	}
	cmd := exec.Command(program, "-d", "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(mails),
		"-f", "status@example.net", "-t", "somebody@example.com", "-F", mail, relay)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return r, fmt.Errorf("smtp-source: %w: %s", err, out)
	}
	r.mails, r.took = mails, time.Since(began)
	r.cpu = map[string]time.Duration{"smtp-source": cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	return r, nil
}

// smtpSink starts Postfix's sink, which is single-threaded.
func smtpSink(b *testing.B) (addr string, err error) {
	program, err := postfixProgram("smtp-sink")
	if err != nil {
		return "", err
	}
	if addr, err = freePort(); err != nil {
		return "", err
	}
	args := []string{addr, "1000"}
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	if _, _, err = runBeside(b, os.Environ(), program, args...); err != nil {
		return "", err
	}
	return addr, awaitPort(addr)
}

// awaitPort returns when something listens at addr.
func awaitPort(addr string) (err error) {
	for range 100 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("nothing listens at %s: %w", addr, err)
}

// saveForSource writes a mail as smtp-source wants it: lines end in LF, dots are not doubled.
func saveForSource(b *testing.B, raw string) (string, error) {
	file := filepath.Join(b.TempDir(), "mail")
	return file, os.WriteFile(file, []byte(strings.ReplaceAll(raw, "\r\n", "\n")), 0o600)
}

// delayed starts a proxy that hands on each byte after half of a round trip, in both directions.
func delayed(b *testing.B, to string, roundTrip time.Duration) (addr string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go delay(client, server, roundTrip/2)
			go delay(server, client, roundTrip/2)
		}
	}()
	return ln.Addr().String(), nil
}

// delay copies from one connection to the other, each piece after the time that it is under way.
func delay(from, to net.Conn, by time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				from.Close()
			}
		}
	}()
	defer close(pieces)
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{buf[:n], time.Now().Add(by)}
		}
		if err != nil {
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}
