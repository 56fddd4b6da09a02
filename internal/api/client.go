package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// Client speaks to a Tocsin server. A refusal of the server comes back as the *notice.Error that it was; other
// errors hold advice in one line. GETs are tried again for ten seconds while the server cannot be reached or answers
// 502, 503 or 504. Other requests are tried again only while the connection is refused: nothing has happened then.
// A Client may be used by several goroutines.
type Client struct {
	base     string // without a slash at the end
	token    string
	operator string
	http     *http.Client
	patience time.Duration // how long a request is tried again
}

// NewClient returns a client of the server at baseURL, such as http://127.0.0.1:8080. token is its bearer token,
// "" for none; operator is kept as the one who pressed.
func NewClient(baseURL, token, operator string) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, notice.Invalid("TOCSIN_URL", "is not a URL like http://127.0.0.1:8080")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, notice.Invalid("TOCSIN_URL", "takes no user, query or fragment; the token goes into TOCSIN_TOKEN")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// An import waits for the server's leave before it sends a file that a wrong token would waste.
	transport.ExpectContinueTimeout = 5 * time.Second
	return &Client{
		base:     strings.TrimRight(u.String(), "/"),
		token:    token,
		operator: cleanOperator(operator),
		http:     &http.Client{Transport: transport},
		patience: 10 * time.Second,
	}, nil
}

// call is one request of the client.
type call struct {
	method, path string // the path escaped
	query        url.Values
	body         any       // sent as JSON; nil for none
	stream       io.Reader // sent as it is, in place of body
	contentType  string    // of stream
	accept       string
	again        func(error, int) bool // whether to try again, by error or status; nil = whileRefused
	wait         time.Duration         // how much longer than usual an answer may take
}

// answerTime is how long the server may take to start an answer: a release expands and checks the whole audience.
const answerTime = 10 * time.Minute

// do runs c and decodes the answer into out.
func (cl *Client) do(ctx context.Context, c call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime+c.wait)
	defer cancel()
	resp, err := cl.send(ctx, c)
	if err != nil {
		return err
	}
	return cl.decode(resp, out)
}

// decode reads a JSON answer into out and closes it.
func (cl *Client) decode(resp *http.Response, out any) error {
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer of Tocsin at %s: %w", cl.base, err)
	}
	return nil
}

// send runs c, again where c allows it, and returns an answer of the 2xx kind.
func (cl *Client) send(ctx context.Context, c call) (*http.Response, error) {
	var payload []byte
	if c.body != nil {
		var err error
		if payload, err = json.Marshal(c.body); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
	}
	again := c.again
	if again == nil {
		again = whileRefused
	}
	var until time.Time
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		resp, err := cl.once(ctx, c, payload)
		if err == nil && resp.StatusCode < 300 {
			return resp, nil
		}
		if until.IsZero() {
			// Counted from the first failure: the wait for a status before it does not use the time up.
			until = time.Now().Add(cl.patience)
		}
		if !again(err, status(resp)) || time.Now().Add(pause).After(until) {
			return nil, cl.explain(resp, err)
		}
		if resp != nil {
			resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// once runs c a single time.
func (cl *Client) once(ctx context.Context, c call, payload []byte) (*http.Response, error) {
	target := cl.base + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	body, contentType := c.stream, c.contentType
	if body != nil {
		body = io.NopCloser(body) // a connection that is refused would close the file, and it is tried again
	}
	if payload != nil {
		body, contentType = bytes.NewReader(payload), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.stream != nil {
		req.Header.Set("Expect", "100-continue")
	}
	if c.accept != "" {
		req.Header.Set("Accept", c.accept)
	}
	if cl.token != "" {
		req.Header.Set("Authorization", "Bearer "+cl.token)
	}
	if cl.operator != "" {
		req.Header.Set(operatorHeader, cl.operator)
	}
	return cl.http.Do(req)
}

func status(resp *http.Response) int {
	if resp == nil {
		return 0
	}
	return resp.StatusCode
}

// untilReached tries a GET again while the server, a proxy before it or a server behind it is away.
func untilReached(err error, status int) bool {
	if err != nil {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// whileRefused tries a request again that surely has not reached the server.
func whileRefused(err error, _ int) bool { return refused(err) }
