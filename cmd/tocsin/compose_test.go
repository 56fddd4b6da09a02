package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// composition is docker-compose.yml as Compose reads it.
type composition struct {
	Services map[string]struct {
		Command       []string
		Environment   map[string]string
		User          string
		Privileged    bool
		ReadOnly      bool     `json:"read_only"`
		CapDrop       []string `json:"cap_drop"`
		ContainerName string   `json:"container_name"`
		WorkingDir    string   `json:"working_dir"`
		HealthCheck   *struct{ Test []string }
		Networks      map[string]any
		Ports         []struct {
			HostIP string `json:"host_ip"`
		}
		Volumes []struct {
			Source   string
			ReadOnly bool `json:"read_only"`
		}
		DependsOn map[string]struct{ Condition string } `json:"depends_on"`
	}
	Networks map[string]struct{ Internal bool }
}

// readComposition has docker-compose.yml read with these variables, NAME=value, and returns the complaint of Compose.
func readComposition(t *testing.T, variables ...string) (c composition, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./compose", "../docker-compose.yml")
	cmd.Dir = "../../tools"
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "TOCSIN_") || strings.HasPrefix(v, "POSTGRES_")
	}), variables...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return c, fmt.Errorf("%w: %s", err, &stderr)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return c, nil
}

const givenToken, givenPassword = "TOCSIN_TOKEN=t0ken", "POSTGRES_PASSWORD=passw0rd"

var ours = []string{"migrate", "serve", "work", "tocsin"}

func TestTheCompositionIsClosed(t *testing.T) {
	t.Parallel()
	for given, missing := range map[string]string{givenToken: "POSTGRES_PASSWORD", givenPassword: "TOCSIN_TOKEN"} {
		if _, err := readComposition(t, given); err == nil || !strings.Contains(err.Error(), missing+" is missing a value: make a .env first, see the README") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	project, err := readComposition(t, givenToken, givenPassword)
	if err != nil {
		t.Fatal(err)
	}
	var exposed []string
	for name, service := range project.Services {
		for _, p := range service.Ports {
			exposed = append(exposed, name)
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s is exposed on %q", name, p.HostIP)
			}
		}
		if slices.Contains(ours, name) {
			if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") || service.User != "" || service.Privileged {
				t.Errorf("%s may do more than it needs", name)
			}
			for _, v := range service.Volumes {
				if !v.ReadOnly {
					t.Errorf("%s may write to %s", name, v.Source)
				}
			}
		}
		if name != "migrate" && name != "tocsin" && service.HealthCheck == nil {
			t.Errorf("%s has no health check", name)
		}
		for network := range service.Networks {
			if (name == "postgres" || name == "redis") && !project.Networks[network].Internal {
				t.Errorf("%s can be reached through %s", name, network)
			}
		}
	}
	slices.Sort(exposed)
	if !slices.Equal(exposed, []string{"mailpit", "serve"}) {
		t.Errorf("exposed are %q", exposed)
	}
	for _, name := range []string{"serve", "work"} {
		on := project.Services[name].DependsOn
		if on["migrate"].Condition != "service_completed_successfully" || on["redis"].Condition != "service_healthy" {
			t.Errorf("%s starts too early: %+v", name, on)
		}
	}
	if project.Services["work"].ContainerName != "" || len(project.Services["work"].Ports) > 0 {
		t.Error("work can't be scaled")
	}
	if redis := strings.Join(project.Services["redis"].Command, " "); !strings.Contains(redis, "--appendonly yes") || !strings.Contains(redis, "--maxmemory-policy noeviction") {
		t.Errorf("Redis runs as %q", redis)
	}
}

// composed is the composition running on this machine: our services from the image, the others in the place of theirs.
type composed struct {
	t        *testing.T
	image    *image
	project  composition
	replaced *strings.Replacer // host names of the composition by addresses here
}

func compose(t *testing.T) (c *composed, s *sink.Sink) {
	t.Helper()
	c = &composed{t: t}
	var err error
	if c.project, err = readComposition(t, givenToken, givenPassword); err != nil {
		t.Fatal(err)
	}
	ledger, queue := testkit.EmptyPostgres(t), testkit.Redis(t)
	certs := newCertificates(t)
	s = startSink(t, "127.0.0.1:0", sink.Options{Keep: 10_000})
	secured := relaySink(t, sink.Options{ImplicitTLS: true, TLS: &tls.Config{Certificates: []tls.Certificate{certs.valid}}})
	api := freeAddress(t)
	_, port, _ := net.SplitHostPort(api)
	c.replaced = strings.NewReplacer("postgres:5432/tocsin", postgresOverTCP(t, ledger), "redis://redis:6379/0", queue,
		"0.0.0.0:8080", "0.0.0.0:"+port, "127.0.0.1:8080", api, "serve:8080", api, "mailpit:1025", s.Addr().String())

	c.image = buildImage(t, map[string]string{"/etc/ssl/certs/ca-certificates.crt": certs.authority})
	settings := c.replaced.Replace(string(read(t, "../../tocsin.yaml")))
	// A second relay, so that `check` shows whether the image's authorities are found.
	const inbox = "?tls=opportunistic\n"
	settings = strings.Replace(settings, inbox, inbox+"  - {name: secured, url: \"smtps://"+secured+"\"}\n", 1)
	settings = strings.Replace(settings, "#first_retry: 30s", "first_retry: 1s", 1) // some of the example's customers defer once
	c.image.put(t, "/etc/tocsin/tocsin.yaml", settings, 0o444)
	if err := os.CopyFS(filepath.Join(c.image.root, "here/examples"), os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	c.image.seal(t)
	return c, s
}

// start runs a service's command as it stands; more arguments replace it, as those of `docker compose run` do.
func (c *composed) start(name string, stdout io.Writer, more ...string) *program {
	c.t.Helper()
	service := c.project.Services[name]
	if len(more) == 0 {
		more = service.Command
	}
	var env []string
	listen := freeAddress(c.t) // each container has a network of its own
	for variable, value := range service.Environment {
		text := c.replaced.Replace(value)
		if variable == "TOCSIN_WORK_LISTEN" {
			text = listen
		}
		env = append(env, variable+"="+text)
	}
	p := &program{Cmd: c.image.command(service.WorkingDir, env, append([]string{"/tocsin"}, more...)...), done: make(chan struct{}), log: &safeBuffer{}}
	p.Stdout, p.Stderr = stdout, p.log
	if err := p.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.Wait(); close(p.done) }()
	c.t.Cleanup(func() {
		p.kill()
		if c.t.Failed() {
			c.t.Logf("%s %q said:\n%s", name, more, lastLines(p.log.String(), 20))
		}
	})
	if check := service.HealthCheck; check != nil {
		c.await(name, strings.NewReplacer("127.0.0.1:9090", listen).Replace(c.replaced.Replace(strings.Join(check.Test, " "))))
	}
	return p
}

// await runs a health check until it succeeds, for a minute at most.
func (c *composed) await(name, check string) {
	c.t.Helper()
	words := strings.Fields(check)
	if words[0] != "CMD" {
		c.t.Fatalf("%s: the image has no shell for %q", name, check)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := c.image.command("", nil, words[1:]...).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("%s is not healthy: %v: %s", name, err, out)
		case <-tick.C:
		}
	}
}

// run runs a command in the service for tools, to its end.
func (c *composed) run(doc any, args ...string) (out string, code int) {
	c.t.Helper()
	var stdout bytes.Buffer
	p := c.start("tocsin", &stdout, args...)
	<-p.done
	if doc != nil {
		if err := json.Unmarshal(stdout.Bytes(), doc); err != nil {
			c.t.Fatalf("%q: %v: %s%s", args, err, &stdout, p.log)
		}
	}
	return stdout.String() + p.log.String(), p.ProcessState.ExitCode()
}

func TestTheCompositionSendsANotice(t *testing.T) {
	t.Parallel()
	c, inbox := compose(t)
	c.image.isStatic(t)
	migrate := c.start("migrate", io.Discard)
	<-migrate.done
	if code := migrate.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("migrate ended with %d", code)
	}
	serve := c.start("serve", io.Discard)
	c.image.owns(t, serve)
	var workers []*program // --scale work=4
	for range 4 {
		workers = append(workers, c.start("work", io.Discard))
	}

	var checked struct{ Findings notice.Findings }
	c.run(&checked, "check", "--json")
	for _, part := range []string{"relay inbox", "relay secured", "redis", "postgres"} {
		n := 0
		for _, f := range checked.Findings {
			// The servers of this test do not wait for the disk, which is found.
			if f.Part == part && (f.Level != notice.LevelError || strings.Contains(f.Message, "fsync")) {
				n++
			} else if f.Part == part {
				t.Errorf("%+v", f)
			}
		}
		if n == 0 {
			t.Errorf("%s was not tried: %+v", part, checked.Findings)
		}
	}
	if out, code := c.run(nil, "customers", "import", "examples/customers.csv"); code != 0 {
		t.Fatalf("import: %d %s", code, out)
	}
	var st notice.Status
	_, code := c.run(&st, "notice", "send", "examples/mail-outage", "--yes", "--wait", "--json")
	exampleEnded(t, st, code)
	if inbox.Count() != st.Counts["sent"] || st.Counts["sent"] < 100 {
		t.Errorf("%d mails in the inbox, %d are sent", inbox.Count(), st.Counts["sent"])
	}
	for _, p := range append(workers, serve) {
		if code := p.stop(); code != 0 {
			t.Errorf("ended with %d: %s", code, p.log)
		}
	}
}

// postgresOverTCP lets a chroot reach a Postgres that listens on a socket in the file system; it returns the URL from
// the host on.
func postgresOverTCP(t *testing.T, socketURL string) string {
	t.Helper()
	u, err := url.Parse(socketURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	network, target := "tcp", u.Host
	if dir := u.Query().Get("host"); dir != "" {
		network, target = "unix", filepath.Join(dir, ".s.PGSQL."+u.Query().Get("port"))
	}
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial(network, target)
			if err != nil {
				here.Close()
				continue
			}
			go func() { io.Copy(there, here); there.Close() }()
			go func() { io.Copy(here, there); here.Close() }()
		}
	}()
	return l.Addr().String() + u.Path + "?sslmode=disable"
}
