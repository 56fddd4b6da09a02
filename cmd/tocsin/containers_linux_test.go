package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// containers is docker-compose.yml run by a Docker engine, as a project apart from all others.
type containers struct {
	t       *testing.T
	project string
	dir     string   // of the settings, the customers and the notice
	api     string   // host:port
	inbox   string   // host:port
	env     []string // of docker
}

// TestContainersSendAndAreUpgraded builds the image of the last version behind a proxy, has four workers send with it,
// and kills one. In the middle of the notice it upgrades to today's image. At the end it takes all of it down.
func TestContainersSendAndAreUpgraded(t *testing.T) {
	testkit.Large(t, "TestTheCompositionSendsANotice")
	_, commit := lastVersion(t)
	needsEngine(t)
	before := sourceOf(t, commit)
	c := newContainers(t)

	c.build("../..", "after")
	c.mustNotBuildWithoutAuthority()
	c.compose("build", "work") // so that the upgrade comes in the middle of the notice
	c.build(before, "before")
	c.compose("build", "work")
	c.compose("up", "--detach", "--scale", "work=4")
	workers := strings.Fields(c.compose("ps", "--quiet", "work"))
	if len(workers) != 4 {
		t.Fatalf("there are %d workers", len(workers))
	}
	if said := c.compose("exec", "-T", "work", "/tocsin", "version"); !strings.Contains(said, "before") {
		t.Errorf("a worker is of version %s", said)
	}
	c.tocsin("customers", "import", "customers.csv")
	c.tocsin("notice", "send", "n", "--yes")
	c.awaitMails(recipientsOfContainers / 10)
	c.docker("kill", "--signal", "KILL", workers[0])
	c.awaitMails(recipientsOfContainers / 4)

	c.build("../..", "after")
	c.compose("stop", "serve", "work") // as docs/operations.md has it
	c.compose("up", "--detach", "--build", "--scale", "work=4")
	if st := c.status(); finished(st) {
		t.Errorf("the notice is finished before the upgrade: %v", st.Counts)
	}
	for _, id := range strings.Fields(c.compose("ps", "--quiet", "work")) {
		if said := c.docker("exec", id, "/tocsin", "version"); !strings.Contains(said, "after") {
			t.Errorf("after the upgrade a worker is of version %s", said)
		}
	}
	c.wantOnceEach(c.finished())
	c.compose("down", "--volumes")
	if left := c.docker("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+c.project); left != "" {
		t.Errorf("it is down, and leaves %s", left)
	}
}

// needsEngine skips the test, by name, where no Docker engine with Compose answers.
func needsEngine(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, args := range [][]string{{"info"}, {"compose", "version"}} {
		if out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
			t.Skipf("%s is skipped: docker %s: %v: %s", t.Name(), args[0], err, lastLines(strings.TrimSpace(string(out)), 1))
		}
	}
}

// recipientsOfContainers are sent at 100 a second: containers can be replaced while they are.
const recipientsOfContainers = 8000

func newContainers(t *testing.T) *containers {
	t.Helper()
	c := &containers{t: t, project: "tocsin-test-" + strings.ToLower(rand.Text()[:8]), dir: t.TempDir(), api: freeAddress(t), inbox: freeAddress(t)}
	proxy, authority := modulesOverTLS(t)
	_, apiPort, _ := net.SplitHostPort(c.api)
	_, inboxPort, _ := net.SplitHostPort(c.inbox)
	c.env = append(os.Environ(), "TOCSIN_TOKEN="+tokenOfContainers, "POSTGRES_PASSWORD=passw0rd", "API_PORT="+apiPort, "INBOX_PORT="+inboxPort,
		"GOPROXY="+proxy, "BUILD_AUTHORITY="+authority)
	var customers strings.Builder
	customers.WriteString("id,email,language\n")
	for i := range recipientsOfContainers {
		fmt.Fprintf(&customers, "c%d,m%d@example.com,en\n", i, i)
	}
	const inbox = "?tls=opportunistic\n"
	settings := strings.Replace(string(read(t, "../../tocsin.yaml")), inbox, inbox+"    rate: 100/s\n", 1)
	for name, text := range map[string]string{
		"tocsin.yaml": settings, "customers.csv": customers.String(),
		"n/notice.yaml": "key: n\nkind: outage\nphase: identified\naudience: all\n", "n/en.md": "---\nsubject: Mail is down\n---\nWe are on it.\n",
	} {
		file := filepath.Join(c.dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(c.dir, 0o755); err != nil { // the image's user reads it
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := c.run(context.Background(), c.args("logs", "--tail", "15")...)
			t.Log(out)
		}
		c.run(context.Background(), c.args("down", "--volumes", "--remove-orphans", "--timeout", "1")...)
		for _, version := range []string{"before", "after"} {
			c.run(context.Background(), "image", "rm", "--force", c.project+":"+version)
		}
	})
	return c
}

const tokenOfContainers = "a-token-for-the-containers-of-a-test"

// build has the next build of the image take its source from a directory, and name the image by a version.
func (c *containers) build(source, version string) {
	c.t.Helper()
	source, err := filepath.Abs(source)
	if err != nil {
		c.t.Fatal(err)
	}
	dockerfile, err := filepath.Abs("../../Dockerfile")
	if err != nil {
		c.t.Fatal(err)
	}
	services := map[string]any{}
	for _, name := range ours {
		services[name] = map[string]any{
			"image":   c.project + ":" + version,
			"build":   map[string]any{"context": source, "dockerfile": dockerfile, "network": "host", "args": map[string]string{"VERSION": version}},
			"volumes": []string{c.dir + "/tocsin.yaml:/etc/tocsin/tocsin.yaml:ro", c.dir + ":/here:ro"},
		}
	}
	text, err := json.Marshal(map[string]any{"services": services})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "override.yml"), text, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// args are those of docker for a command of Compose.
func (c *containers) args(command ...string) []string {
	return append([]string{"compose", "--project-name", c.project, "--file", "../../docker-compose.yml", "--file", filepath.Join(c.dir, "override.yml")}, command...)
}

func (c *containers) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (c *containers) docker(args ...string) string {
	c.t.Helper()
	out, err := c.run(c.t.Context(), args...)
	if err != nil {
		c.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, lastLines(out, 40))
	}
	return out
}

func (c *containers) compose(command ...string) string {
	c.t.Helper()
	return c.docker(c.args(command...)...)
}

// tocsin runs a command in the service for tools.
func (c *containers) tocsin(command ...string) string {
	c.t.Helper()
	return c.compose(append([]string{"run", "--rm", "-T", "tocsin"}, command...)...)
}

// mustNotBuildWithoutAuthority shows that the modules come from the proxy, and through its authority alone.
func (c *containers) mustNotBuildWithoutAuthority() {
	c.t.Helper()
	known := c.env
	defer func() { c.env = known }()
	c.env = append(known[:len(known):len(known)], "BUILD_AUTHORITY=")
	out, err := c.run(c.t.Context(), c.args("build", "work")...)
	if err == nil || !strings.Contains(out, "certificate signed by unknown authority") {
		c.t.Errorf("without the authority of the proxy it is built, or says something else: %v\n%s", err, lastLines(out, 20))
	}
}

// modulesOverTLS serves the modules that this machine has as a proxy does, with a certificate of an authority of its own.
func modulesOverTLS(t *testing.T) (url, authority string) {
	t.Helper()
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	certs := newCertificates(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certs.valid}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(filepath.Join(strings.TrimSpace(string(cache)), "cache/download"))), ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "https://" + l.Addr().String(), certs.authority
}

// get reads a JSON document of the API or the inbox.
func (c *containers) get(url string, doc any) error {
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+tokenOfContainers)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(doc)
}

// until asks again and again until there is no error, for five minutes at most.
func (c *containers) until(ask func() error) {
	c.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(5 * time.Minute); ; <-tick.C {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			c.t.Fatal(err)
		}
	}
}

// mails is a page of the mails that the inbox took.
type mails struct {
	Total    int `json:"messages_count"`
	Messages []struct{ To []struct{ Address string } }
}

func (c *containers) awaitMails(n int) {
	c.t.Helper()
	c.until(func() error {
		var m mails
		if err := c.get(c.inbox+"/api/v1/messages?limit=1", &m); err != nil || m.Total < n {
			return fmt.Errorf("the inbox has %d mails, want %d: %w", m.Total, n, err)
		}
		return nil
	})
}

func (c *containers) status() (st notice.Status) {
	c.t.Helper()
	c.until(func() error { return c.get(c.api+"/v1/notices/n", &st) })
	return st
}

func (c *containers) finished() (st notice.Status) {
	c.t.Helper()
	c.until(func() error {
		if st = c.status(); !finished(st) {
			return fmt.Errorf("the notice is %s: %v", st.State, st.Counts)
		}
		return nil
	})
	return st
}

// wantOnceEach wants each mailbox to have one mail. Those alone that the killed worker left uncertain may have none.
func (c *containers) wantOnceEach(st notice.Status) {
	c.t.Helper()
	came := map[string]int{}
	const page = 2000
	for start := 0; ; start += page {
		var m mails
		if err := c.get(fmt.Sprintf("%s/api/v1/messages?limit=%d&start=%d", c.inbox, page, start), &m); err != nil {
			c.t.Fatal(err)
		}
		for _, mail := range m.Messages {
			came[mail.To[0].Address]++
		}
		if len(m.Messages) < page {
			break
		}
	}
	for mailbox, n := range came {
		if n != 1 {
			c.t.Errorf("%s has %d mails", mailbox, n)
		}
	}
	sent, uncertain := st.Counts["sent"], st.Counts["uncertain"]
	if sent+uncertain != recipientsOfContainers || uncertain > 64 || len(came) < sent {
		c.t.Errorf("%d mailboxes have the mail, of %d: %v", len(came), recipientsOfContainers, st.Counts)
	}
	c.t.Logf("%d mailboxes have the mail; %v", len(came), st.Counts)
}
