package config

import (
	"os"
	"testing"

	"tocsin/internal/yaml"
)

// TestTheChartsSettingsAreRead lets serve and work read the file of settings that the Helm chart has without values of its own.
func TestTheChartsSettingsAreRead(t *testing.T) {
	t.Parallel()
	const path = "../../deploy/helm/tocsin/values.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values, err := yaml.Read(path, text)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := values.Find("config")
	file, err := config.Text()
	if err != nil {
		t.Fatal(err)
	}
	s := settings(t, nil, servers, file)
	if work, err := s.Work(); err != nil || len(work.Mail.Relays) != 1 {
		t.Errorf("work reads %+v, %v", work.Mail.Relays, err)
	}
	if _, err := s.Serve(); err != nil {
		t.Error(err)
	}
}
