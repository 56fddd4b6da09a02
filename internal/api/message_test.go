package api

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestAMessageIsADocumentOrItsSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	withDeliveries(t, b, 1)
	m, err := b.client.Message(t.Context(), "k", 0)
	if err != nil || m.Proof != notice.ProofSame || m.Source != "Subject: x\r\n\r\n" {
		t.Errorf("%+v, %v", m, err)
	}
	resp, text := b.send(t, "GET", "/v1/notices/k/deliveries/0/message", "", "Accept", "message/rfc822")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "message/rfc822" || text != m.Source {
		t.Errorf("status %d, %v, %q", resp.StatusCode, resp.Header, text)
	}
	resp, text = b.send(t, "GET", "/v1/notices/k/deliveries/1/message", "", "Accept", "message/rfc822")
	if resp.StatusCode != 409 || !strings.Contains(text, "erased") {
		t.Errorf("a mail that can't be made: status %d, %s", resp.StatusCode, text)
	}
	for _, path := range []string{"/v1/notices/gone/deliveries/0/message", "/v1/notices/k/deliveries/x/message"} {
		if resp, text := b.send(t, "GET", path, ""); resp.StatusCode != 404 && resp.StatusCode != 422 {
			t.Errorf("%s: status %d, %s", path, resp.StatusCode, text)
		}
	}
}
