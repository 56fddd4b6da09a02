//go:build chart

// Package chart checks deploy/helm/tocsin without a cluster and without a network: make chart. Its build tag keeps Helm
// and the types of Kubernetes out of all other builds.
package chart

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

const directory = "../../deploy/helm/tocsin"

// monitor is as much of a ServiceMonitor of the Prometheus operator as the chart uses.
type monitor struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Selector  meta.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			Authorization struct {
				Type        string                 `json:"type"`
				Credentials core.SecretKeySelector `json:"credentials"`
			} `json:"authorization"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// typed returns a value of the type that a kind of an API has, nil for one that is not known.
func typed(api, kind string) any {
	switch api + " " + kind {
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "v1 Service":
		return &core.Service{}
	case "apps/v1 Deployment":
		return &apps.Deployment{}
	case "batch/v1 Job":
		return &batch.Job{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &network.NetworkPolicy{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitor{}
	}
	return nil
}

// render returns the objects that the chart makes with the values of a file, each decoded into its type: a field that
// the type does not know, or that stands twice, is an error.
func render(t *testing.T, values string) (objects []any) {
	t.Helper()
	c, err := loader.Load(directory)
	if err != nil {
		t.Fatal(err)
	}
	set, err := chartutil.ReadValuesFile(values)
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, set, chartutil.ReleaseOptions{Name: "status", Namespace: "mail", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := (engine.Engine{Strict: true}).Render(c, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		for _, text := range regexp.MustCompile(`(?m)^---$`).Split(files[name], -1) {
			var kind meta.TypeMeta
			if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
			if kind.Kind == "" {
				continue
			}
			object := typed(kind.APIVersion, kind.Kind)
			if object == nil {
				t.Errorf("%s: this test does not know %s %s", name, kind.APIVersion, kind.Kind)
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, kind.Kind, err, text)
			}
			objects = append(objects, object)
		}
	}
	return objects
}

// pods returns the templates of pods, by the name of the Deployment or Job.
func pods(objects []any) map[string]core.PodTemplateSpec {
	all := map[string]core.PodTemplateSpec{}
	for _, object := range objects {
		switch o := object.(type) {
		case *apps.Deployment:
			all[o.Name] = o.Spec.Template
		case *batch.Job:
			all[o.Name] = o.Spec.Template
		}
	}
	return all
}

// cases are the values that the tests render, and the pods that each makes.
var cases = map[string]struct {
	file string
	pods []string
}{
	"as it stands":       {directory + "/values.yaml", []string{"status-migrate", "status-serve", "status-work"}},
	"with everything in": {"testdata/all.yaml", []string{"status-bounces", "status-migrate", "status-serve", "status-work"}},
}

func TestTheChartIsLinted(t *testing.T) {
	t.Parallel()
	for name, c := range cases {
		set, err := chartutil.ReadValuesFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range lint.All(directory, set, "mail", true).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
}

func TestPodsAreConfined(t *testing.T) {
	t.Parallel()
	for name, c := range cases {
		all := pods(render(t, c.file))
		if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, c.pods) {
			t.Errorf("%s: there are pods of %v, want %v", name, got, c.pods)
		}
		for pod, template := range all {
			spec := template.Spec
			if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
				t.Errorf("%s: %s is not confined: %+v", name, pod, s)
			}
			for _, container := range spec.Containers {
				s := container.SecurityContext
				if s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
					t.Errorf("%s: container %s may do too much: %+v", name, container.Name, s)
				}
				if container.Resources.Requests.Cpu().IsZero() || container.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: container %s has no resources: %+v", name, container.Name, container.Resources)
				}
				if probed := container.LivenessProbe != nil && container.ReadinessProbe != nil; probed != (container.Name != "migrate") {
					t.Errorf("%s: container %s is probed: %t", name, container.Name, probed)
				}
			}
		}
	}
}

// TestSecretsAreReferences looks at every variable: it is a setting of the README, and none is a secret but by its
// file, which the pod mounts.
func TestSecretsAreReferences(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		for pod, template := range pods(render(t, c.file)) {
			for _, container := range template.Spec.Containers {
				for _, v := range container.Env {
					setting, isFile := strings.CutSuffix(v.Name, "_FILE")
					if !bytes.Contains(readme, []byte("`"+setting+"`")) {
						t.Errorf("%s: %s: the README has no setting %s", name, pod, setting)
					}
					secret := strings.HasSuffix(setting, "_TOKEN") || setting == "DATABASE_URL" || setting == "REDIS_URL"
					if secret != isFile {
						t.Errorf("%s: %s: %s is a secret: %t, and comes from a file: %t", name, pod, setting, secret, isFile)
					}
					if isFile && !slices.ContainsFunc(container.VolumeMounts, func(m core.VolumeMount) bool { return filepath.Dir(v.Value) == m.MountPath && m.ReadOnly }) {
						t.Errorf("%s: %s: nothing is mounted where %s looks", name, pod, v.Name)
					}
				}
			}
			for _, volume := range template.Spec.Volumes {
				if volume.Secret == nil && volume.ConfigMap == nil {
					t.Errorf("%s: %s has a volume %s, and would write", name, pod, volume.Name)
				}
			}
		}
	}
}

// TestSelectorsFindTheirPods looks at every Deployment, Service, budget and policy: a selector that finds no pod, or
// more than one kind, is a mistake.
func TestSelectorsFindTheirPods(t *testing.T) {
	t.Parallel()
	for name, c := range cases {
		objects := render(t, c.file)
		all := pods(objects)
		found := func(what string, selector *meta.LabelSelector, want int) {
			s, err := meta.LabelSelectorAsSelector(selector)
			if err != nil {
				t.Error(err)
			}
			n := 0
			for _, template := range all {
				if s.Matches(labels.Set(template.Labels)) {
					n++
				}
			}
			if n != want {
				t.Errorf("%s: %s finds the pods of %d, want %d", name, what, n, want)
			}
		}
		policies := 0
		for _, object := range objects {
			switch o := object.(type) {
			case *apps.Deployment:
				found(o.Name, o.Spec.Selector, 1)
				if o.Name == "status-work" && (o.Spec.Replicas == nil) != (name == "with everything in") {
					t.Errorf("%s: %s has replicas: %v", name, o.Name, o.Spec.Replicas)
				}
			case *core.Service:
				found("service "+o.Name, &meta.LabelSelector{MatchLabels: o.Spec.Selector}, 1)
				for _, port := range o.Spec.Ports {
					if !slices.ContainsFunc(all[o.Name].Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == port.TargetPort.StrVal }) {
						t.Errorf("%s: service %s leads to no port %s", name, o.Name, port.TargetPort.StrVal)
					}
				}
			case *policy.PodDisruptionBudget:
				found("budget "+o.Name, o.Spec.Selector, 1)
			case *network.NetworkPolicy:
				policies++
				found("policy "+o.Name, &o.Spec.PodSelector, 1)
			}
		}
		if policies != len(all) {
			t.Errorf("%s: %d policies for the pods of %d", name, policies, len(all))
		}
	}
}

// TestTheObjectsAreWrittenForOthers leaves the objects in a directory that CHART_OUT names, for kubeconform.
func TestTheObjectsAreWrittenForOthers(t *testing.T) {
	t.Parallel()
	out := os.Getenv("CHART_OUT")
	if out == "" {
		out = t.TempDir()
	}
	for name, c := range cases {
		var text bytes.Buffer
		for _, object := range render(t, c.file) {
			if _, own := object.(*monitor); own {
				continue // a kind of the operator's, which Kubernetes has no schema of
			}
			one, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(&text, "---\n")
			text.Write(one)
		}
		if err := os.WriteFile(filepath.Join(out, strings.ReplaceAll(name, " ", "-")+".yaml"), text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
