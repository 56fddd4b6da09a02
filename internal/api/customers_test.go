package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestACustomerIsPutReadAndDeleted(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	for _, id := range []string{"7", "a/b c", "..", ".", "ä?x=1#y%2F"} {
		c := notice.Customer{ID: id, Name: "Ada", Email: "Ada@Example.org", Language: "de_CH", TimeZone: "Europe/Zurich",
			Attributes: map[string]string{"plan": "gold", "region": ""}}
		want := c
		want.Language, want.Attributes = "de-CH", map[string]string{"plan": "gold"}
		kept, err := b.client.PutCustomer(ctx, c)
		if diff := cmp.Diff(want, kept); err != nil || diff != "" {
			t.Errorf("put %q: %v (-want +got):\n%s", id, err, diff)
		}
		got, err := b.client.Customer(ctx, id)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("get %q: %v (-want +got):\n%s", id, err, diff)
		}
		if err := b.client.DeleteCustomer(ctx, id); err != nil {
			t.Errorf("delete %q: %v", id, err)
		}
		if err := b.client.DeleteCustomer(ctx, id); notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("delete %q again: %v", id, err)
		}
	}
	resp, text := b.send(t, "PUT", "/v1/customers/8", `{}`)
	if resp.StatusCode != http.StatusCreated || !strings.Contains(text, `"attributes":{}`) {
		t.Errorf("put an empty one: %d %s", resp.StatusCode, text)
	}
	if resp, text := b.send(t, "PUT", "/v1/customers/8", `{"name":"Bob"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("put again: %d %s", resp.StatusCode, text)
	}
	_, err := b.client.PutCustomer(ctx, notice.Customer{ID: "9", Email: "not an address"})
	if e, ok := err.(*notice.Error); !ok || e.Code != notice.CodeInvalid || e.Field != "email" {
		t.Errorf("put a bad address: %#v", err)
	}
}

func TestACustomerIsPatched(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.customers["Café"] = notice.Customer{ID: "Café"}
	row := func(given notice.Fields, c notice.Customer) notice.CustomerRow {
		c.ID = "Café"
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		return notice.CustomerRow{Given: given, Customer: c}
	}
	for patch, want := range map[string]notice.CustomerRow{
		`{}`:                               row(0, notice.Customer{}),
		`{"name":" Ann ","language":null}`: row(notice.GivenName|notice.GivenLanguage, notice.Customer{Name: "Ann"}),
		`{"id":"Cafe\u0301","attributes":{"plan":null,"seats":3}}`: row(0, notice.Customer{Attributes: map[string]string{"plan": "", "seats": "3"}}),
		`{"attributes":null}`: row(notice.GivenAttributes, notice.Customer{}),
	} {
		resp, text := b.send(t, "PATCH", "/v1/customers/Cafe%CC%81", patch, "Content-Type", "application/merge-patch+json")
		if diff := cmp.Diff(want, b.patched); resp.StatusCode != http.StatusOK || diff != "" {
			t.Errorf("%s: %d %s (-want +got):\n%s", patch, resp.StatusCode, text, diff)
		}
	}
	for patch, field := range map[string]string{
		`{"email":"nonsense"}`: "email", `{"mail":"a@x.example"}`: "mail", `{"id":"another"}`: "id", `[]`: "", `{"name":"\ud800"}`: "name",
		`{"attributes":{"a":"1","A":"2"}}`: "attributes.A",
	} {
		resp, text := b.send(t, "PATCH", "/v1/customers/Café", patch, "Content-Type", "application/json")
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, field) {
			t.Errorf("%s: %d %s", patch, resp.StatusCode, text)
		}
	}
	if resp, _ := b.send(t, "PATCH", "/v1/customers/nobody", `{}`, "Content-Type", "application/json"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("nobody: %d", resp.StatusCode)
	}
	if resp, _ := b.send(t, "PATCH", "/v1/customers/Café", `{}`, "Content-Type", "text/csv"); resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("another type: %d", resp.StatusCode)
	}
}

func TestAnImportIsDoneAsItIsAsked(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	var rows []notice.CustomerRow
	b.onRow = func(row notice.CustomerRow) { rows = append(rows, row) }
	file := CustomerFile{Format: FormatCSV, Encoding: "macintosh", Map: map[string]string{"E-Mail": "email", "a=b,c": "plan", "Notiz": ""},
		Attributes: []string{"tz"}, ImportOptions: notice.ImportOptions{KeepGood: true, DryRun: true, Sync: true, MaxRetired: 12.5}}
	r, err := b.client.ImportCustomers(ctx, strings.NewReader("id;name;E-Mail;a=b,c;tz;Notiz\n1;M\x9fller;a@x.example;gold;x;y\n"), file)
	if diff := cmp.Diff(file.ImportOptions, b.options); err != nil || diff != "" || r.Encoding != "macintosh" {
		t.Errorf("%+v, %v (-want +got):\n%s", r, err, diff)
	}
	want := []notice.CustomerRow{{Line: 2, Given: notice.GivenName | notice.GivenEmail, EmailKey: "a@x.example",
		Customer: notice.Customer{ID: "1", Name: "Müller", Email: "a@x.example", Attributes: map[string]string{"plan": "gold", "tz": "x"}}}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, text := b.send(t, "POST", "/v1/customers/import", "id,name\n1,M\x9fller\n", "Content-Type", "text/csv; charset=macintosh"); !strings.Contains(text, `"encoding":"macintosh"`) {
		t.Errorf("a charset: %s", text)
	}
	for query, field := range map[string]string{"?map=x": "map", "?encoding=klingon": "encoding", "?max_retired=101": "max_retired", "?map=Mail%3Demail": "file"} {
		if resp, text := b.send(t, "POST", "/v1/customers/import"+query, "id\n", "Content-Type", "text/csv"); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, field) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, text)
		}
	}
}

// TestTheAnswerToABadFileIsShort imports 24 MB of bad rows.
func TestTheAnswerToABadFileIsShort(t *testing.T) {
	b := setup(t)
	n := testkit.Size(100_000, 1_000_000)
	file := io.MultiReader(strings.NewReader("id,email,language\n"), io.LimitReader(&cycle{text: "1,nonsense,klingon,mars\n"}, int64(24*n)))
	r, err := b.client.ImportCustomers(context.Background(), file, CustomerFile{Format: FormatCSV})
	if err != nil || r.RejectedCount != n || len(r.Rejected) != notice.MaxRejections || len(r.Reasons) != 1 || r.Reasons[0].Count != n {
		t.Errorf("%d rejected, %d listed, reasons %+v, %v", r.RejectedCount, len(r.Rejected), r.Reasons, err)
	}
}

// cycle is a text over and over.
type cycle struct {
	text string
	at   int
}

func (c *cycle) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], c.text[c.at:])
		n, c.at = n+k, (c.at+k)%len(c.text)
	}
	return n, nil
}

func TestTheHistoryOfAnAddressHasItsKey(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	for asked, key := range map[string]string{"7": "", "Ada+x@EXAMPLE.org": "ada+x@example.org", "a/b@example.org": "a/b@example.org"} {
		entries, err := b.client.History(ctx, asked)
		if err != nil || len(entries) != 1 || b.key != key {
			t.Errorf("History(%q): key %q, want %q; %v, %v", asked, b.key, key, entries, err)
		}
	}
}

func TestAFileIsImported(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	var ids []string
	b.onRow = func(row notice.CustomerRow) { ids = append(ids, row.Customer.ID) }
	const rows = "id,email\n1,a@example.org\n2,nonsense\n3,\n"
	r, err := b.client.ImportCustomers(ctx, strings.NewReader(rows), CustomerFile{Format: FormatCSV})
	if err != nil || r.Read != 3 || r.Inserted != 2 || len(r.Rejected) != 1 || r.Rejected[0].Line != 3 || r.Rejected[0].Column != "email" {
		t.Errorf("CSV: %+v, %v", r, err)
	}
	if r, err := b.client.ImportCustomers(ctx, strings.NewReader(rows), CustomerFile{Format: FormatCSV, ImportOptions: notice.ImportOptions{Strict: true}}); err != nil || r.Inserted != 0 {
		t.Errorf("strict: %+v, %v", r, err)
	}
	ids = nil
	objects := `{"id":"x"}` + "\n" + `{"id":"y","attributes":{"plan":"gold"}}` + "\n"
	r, err = b.client.ImportCustomers(ctx, strings.NewReader(objects), CustomerFile{Format: FormatNDJSON})
	if diff := cmp.Diff([]string{"x", "y"}, ids); err != nil || diff != "" || r.Rejected == nil {
		t.Errorf("NDJSON: %+v, %v (-want +got):\n%s", r, err, diff)
	}
	if _, text := b.send(t, "POST", "/v1/customers/import", "id\n", "Content-Type", "text/csv; header=present"); !strings.Contains(text, `"rejected":[]`) {
		t.Errorf("a file without rows: %s", text)
	}
	if _, err = b.client.ImportCustomers(ctx, strings.NewReader("name\nAda\n"), CustomerFile{Format: FormatCSV}); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("a file without ids: %v", err)
	}
}

// rowsOf writes a customer file of n rows.
func rowsOf(n int) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriter(w)
		fmt.Fprintln(out, "id,name,email,language,time_zone,plan,server")
		for i := range n {
			fmt.Fprintf(out, "%d,Customer %d,customer%d@example.org,nl,Europe/Amsterdam,gold,s%d\n", i, i, i, i%700)
		}
		w.CloseWithError(out.Flush())
	}()
	return r
}

func TestALargeFileIsStreamed(t *testing.T) {
	b, ctx := setup(t), context.Background()
	rows := testkit.Size(60_000, 200_000)
	allowed := uint64(80 * rows)
	var seen int
	var base, peak uint64
	b.onRow = func(notice.CustomerRow) {
		if seen++; seen%20_000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			if base == 0 {
				base = m.HeapAlloc
			}
			peak = max(peak, m.HeapAlloc)
		}
	}
	r, err := b.client.ImportCustomers(ctx, rowsOf(rows), CustomerFile{Format: FormatCSV})
	if err != nil || r.Read != rows || r.Inserted != rows {
		t.Fatalf("%+v, %v", r, err)
	}
	if peak-base > allowed {
		t.Errorf("the heap grew by %d MiB after the first 20,000 rows", (peak-base)>>20)
	}
}

func TestAFileThatIsRefusedIsReadOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Larger than the buffers of the sockets, so that the client is still writing when the header is refused.
	rows := io.MultiReader(strings.NewReader("name\n"), io.LimitReader(zeros{}, 20<<20))
	if _, err := b.client.ImportCustomers(context.Background(), rows, CustomerFile{Format: FormatCSV}); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func TestAnImportWithoutTheTokenSendsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.client.token = "wrong"
	file := &countedReader{Reader: rowsOf(200_000)}
	_, err := b.client.ImportCustomers(context.Background(), file, CustomerFile{Format: FormatCSV})
	if err == nil || !strings.Contains(err.Error(), "TOCSIN_TOKEN") || file.n != 0 {
		t.Errorf("%v after %d bytes", err, file.n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

type countedReader struct {
	io.Reader
	n int
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

// raw opens a connection and writes the head of a request with a body of that length.
func (b *bundle) raw(t *testing.T, method, path, media string, length int) net.Conn {
	t.Helper()
	host := strings.TrimPrefix(b.http.URL, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		method, path, host, testToken, media, length)
	return conn
}

func TestABodyThatStallsIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.stall = 100 * time.Millisecond
	for path, media := range map[string]string{"/v1/customers/import": "text/csv", "/v1/notices": "application/json"} {
		conn := b.raw(t, "POST", path, media, 1000)
		fmt.Fprint(conn, "id\n1\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text, _ := io.ReadAll(resp.Body)
		if p := problemIn(t, resp, string(text)); p.Status != http.StatusRequestTimeout {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestAFileThatKeepsComingMayTakeItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.stall = 2 * time.Second
	r, w := io.Pipe()
	go func() {
		fmt.Fprintln(w, "id")
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for i := range 10 {
			<-tick.C
			fmt.Fprintln(w, i)
		}
		w.Close()
	}()
	if report, err := b.client.ImportCustomers(context.Background(), r, CustomerFile{Format: FormatCSV}); err != nil || report.Read != 10 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestAFileThatBreaksOffIsNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, "id\n1\n2\n")
		w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	ended := make(chan error, 1)
	b.server.book = importEnd{b.fake, ended}
	if report, err := b.client.ImportCustomers(context.Background(), r, CustomerFile{Format: FormatCSV}); err == nil {
		t.Errorf("no error: %+v", report)
	}
	if err := <-ended; err == nil {
		t.Error("the book took the file for whole")
	}
}

// importEnd tells how an import ended.
type importEnd struct {
	*fake
	ended chan error
}

func (b importEnd) ImportCustomers(ctx context.Context, rows ledger.CustomerRows, o notice.ImportOptions) (notice.ImportReport, error) {
	report, err := b.fake.ImportCustomers(ctx, rows, o)
	b.ended <- err
	return report, err
}

func TestAFileThatCannotBeReadIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	folder, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if _, err := b.client.ImportCustomers(context.Background(), folder, CustomerFile{Format: FormatCSV}); err == nil || strings.Contains(err.Error(), "cannot reach") {
		t.Errorf("got %v", err)
	}
}
