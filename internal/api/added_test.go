package api

import (
	"net/http"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestANoticeIsSentToAnotherAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.client.Draft(t.Context(), body("k")); err != nil {
		t.Fatal(err)
	}
	want := notice.Adding{Customer: "c1", Address: "other@example.com"}
	added, err := b.client.AddAddress(t.Context(), "k", want)
	if err != nil || b.added != want || b.who != pressed || added.Seq != 7 || added.Of != 2 || !added.Created || added.Key != "k" {
		t.Errorf("%+v by %q: %+v, %v", b.added, b.who, added, err)
	}
	if _, err := b.client.AddAddress(t.Context(), "gone", want); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("of no notice: %v", err)
	}
	for text, missing := range map[string]string{`{"customer": "c1"}`: "address", `{"address": "a@example.com"}`: "customer"} {
		if resp, answer := b.send(t, "POST", "/v1/notices/k/add-address", text); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(answer, missing) {
			t.Errorf("%s: status %d, %s", text, resp.StatusCode, answer)
		}
	}
}
