package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTheFileInTheRepositoryIsWhatIsGenerated(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../customers.csv")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("examples/customers.csv differs; make it anew: go run ./examples/generate > examples/customers.csv")
	}
}
