package api

import (
	"net/http"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// seen remembers the URLs of requests.
type seen struct {
	http.RoundTripper
	urls []string
}

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s.urls = append(s.urls, r.URL.String())
	return s.RoundTripper.RoundTrip(r)
}

func TestTheClientPutsNoAddressIntoAURL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	withDeliveries(t, b, 3)
	b.customers["7"] = notice.Customer{ID: "7", Email: "anna@example.org"}
	watch := &seen{RoundTripper: b.client.http.Transport}
	b.client.http.Transport = watch
	const address = "Anna@Example.ORG"

	told, err := b.client.History(t.Context(), address)
	if err != nil || len(told) != 1 || told[0].Subject != "as it is read" || b.key != "anna@example.org" {
		t.Errorf("history: %+v (%q), %v", told, b.key, err)
	}
	found, err := b.client.Look(t.Context(), address, "k")
	if err != nil || b.looked != [2]string{address, "k"} || found.Verdict != notice.VerdictYes || len(found.Deliveries) != 1 || found.Timeline == nil {
		t.Errorf("search: %+v (%v), %v", found, b.looked, err)
	}
	if _, err = b.client.Look(t.Context(), address, "gone"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("search in a notice that is not there: %v", err)
	}
	for _, err := range b.client.Deliveries(t.Context(), "k", DeliveryQuery{Search: address}) {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := b.client.CustomersAt(t.Context(), address); err != nil {
		t.Error(err)
	}
	if _, err := b.client.Suppress(t.Context(), address, "", ""); err != nil {
		t.Error(err)
	}
	if err := b.client.Unsuppress(t.Context(), address); err != nil {
		t.Error(err)
	}
	for _, url := range watch.urls {
		if strings.Contains(strings.ToLower(url), "example.org") {
			t.Errorf("asked for %s", url)
		}
	}
	if len(watch.urls) != 7 {
		t.Errorf("%d requests were seen", len(watch.urls))
	}
}
