package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"tocsin/internal/api"
	"tocsin/internal/console"
	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/metrics"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// described returns the labels of every metric of ours, sorted, by its name.
func described(t *testing.T) map[string][]string {
	t.Helper()
	serve, work := registry(), registry()
	serve.MustRegister(metrics.NewStanding(nil, metrics.Reckoning{}, nil))
	metrics.NewReturned(serve)
	metrics.NewWebhooks(serve, "on-call")
	api.NewServer(api.Options{Desk: &control.Desk{}, Book: &ledger.DB{}, Registry: serve})
	console.New(console.Options{Registry: serve})
	measure := metrics.NewWorker(work)
	metrics.NewIntake(work)
	measure.OpenMarks(func() int { return 0 }, 64)
	measure.Limits(func() []notice.RelayHealth { return nil }, func() int { return 0 })

	form := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`)
	all := map[string][]string{}
	for _, r := range []*prometheus.Registry{serve, work} {
		descs := make(chan *prometheus.Desc)
		go func() { r.Describe(descs); close(descs) }()
		for d := range descs {
			m := form.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("can't read %s", d)
			}
			if strings.HasPrefix(m[1], "tocsin_") {
				all[m[1]] = words(m[2])
			}
		}
	}
	return all
}

// words are the labels in a list of them, sorted.
func words(list string) []string {
	found := regexp.MustCompile(`\w+`).FindAllString(list, -1)
	slices.Sort(found)
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheListOfMetricsIsComplete(t *testing.T) {
	t.Parallel()
	listed := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(tocsin_\\w+)` \\| \\w+ \\| ([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(string(read(t, "../../docs/metrics.md")), -1) {
		listed[m[1]] = words(m[2])
	}
	if diff := cmp.Diff(described(t), listed); diff != "" {
		t.Errorf("docs/metrics.md (+) is not what the program has (-): %s", diff)
	}
}

func TestNoMetricHasALabelForPersons(t *testing.T) {
	t.Parallel()
	// A new label is added here after a look at its possible values.
	harmless := []string{"call", "class", "code", "how", "kind", "limit", "reason", "relay", "result", "route", "source", "state", "version", "webhook"}
	used := map[string]bool{}
	for _, labels := range described(t) {
		for _, l := range labels {
			used[l] = true
		}
	}
	if diff := cmp.Diff(harmless, slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("labels: %s", diff)
	}
}

// checkExpression has every metric and label of an expression exist.
func checkExpression(t *testing.T, where, expr string) {
	t.Helper()
	known := described(t)
	used := regexp.MustCompile(`(tocsin_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expr, -1)
	if len(used) == 0 {
		t.Errorf("%s uses no metric of ours: %s", where, expr)
	}
	for _, m := range used {
		labels, ok := known[m[1]]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if !ok {
				labels, ok = known[strings.TrimSuffix(m[1], suffix)]
			}
		}
		if !ok {
			t.Errorf("%s: there is no %s", where, m[1])
		}
		for _, l := range regexp.MustCompile(`(\w+)\s*[=!]`).FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels, l[1]) {
				t.Errorf("%s: %s has no label %q", where, m[1], l[1])
			}
		}
	}
	var all []string
	for _, labels := range known {
		all = append(all, labels...)
	}
	for _, m := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
		for _, l := range words(m[1]) {
			if l != "le" && !slices.Contains(all, l) {
				t.Errorf("%s: no metric has the label %q", where, l)
			}
		}
	}
}

func TestTheDashboardShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	var board struct {
		Title, UID string
		Panels     []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "../../docs/grafana-dashboard.json"), &board); err != nil {
		t.Fatal(err)
	}
	if board.Title == "" || board.UID == "" || len(board.Panels) < 10 {
		t.Errorf("it is not a dashboard: %+v", board)
	}
	shown := ""
	for _, p := range board.Panels {
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 || len(p.Targets) == 0 {
			t.Errorf("%q: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			checkExpression(t, p.Title, target.Expr)
			shown += target.Expr + "\n"
		}
	}
	for name := range described(t) {
		if !strings.Contains(shown, name) && name != "tocsin_build_info" {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

func TestTheAlertsAskWhatThereIs(t *testing.T) {
	t.Parallel()
	const file = "../../docs/prometheus-alerts.yml"
	var doc struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(read(t, file))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	fires := firing(t)
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			checkExpression(t, r.Alert, r.Expr)
			if !fires[r.Alert] {
				t.Errorf("testdata/alerts.yml has no series at which %s fires", r.Alert)
			}
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s does not say how bad it is and what to do", r.Alert)
			}
		}
	}
	promtool := testkit.Program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", file}, {"test", "rules", playedAlerts}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v: %s", args, err, out)
		}
	}
}

// playedAlerts are series that promtool plays through the alerts, and the alerts that are to fire then.
const playedAlerts = "testdata/alerts.yml"

// firing returns the alerts of which playedAlerts has a moment when they fire.
func firing(t *testing.T) map[string]bool {
	t.Helper()
	var doc struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(read(t, playedAlerts), &doc); err != nil {
		t.Fatal(err)
	}
	fires := map[string]bool{}
	for _, played := range doc.Tests {
		for _, a := range played.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Expected) > 0
		}
	}
	return fires
}
