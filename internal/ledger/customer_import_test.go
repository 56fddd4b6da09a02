package ledger_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// file is a customer file in memory: each entry a customer, a rejection, or the error that it ends with.
type file []any

func (f *file) Next() (row notice.CustomerRow, rejected *notice.Rejection, err error) {
	if len(*f) == 0 {
		return row, nil, io.EOF
	}
	entry := (*f)[0]
	*f = (*f)[1:]
	switch entry := entry.(type) {
	case notice.CustomerRow:
		return entry, nil, nil
	case notice.Rejection:
		return row, &entry, nil
	case error:
		return row, nil, entry
	}
	panic("neither a customer, a rejection nor an error")
}

// report is an ImportReport without nil, of a file that was kept.
func report(r notice.ImportReport) notice.ImportReport {
	if r.Rejected == nil {
		r.Rejected = []notice.Rejection{}
	}
	if r.Cleared == nil {
		r.Cleared = map[string]int{}
	}
	if r.Reasons == nil {
		r.Reasons = []notice.RejectionReason{}
	}
	r.RejectedCount = max(r.RejectedCount, len(r.Rejected))
	return r
}

func TestImportCountsWhatItDid(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	ann, bob := notice.Customer{ID: "ann", Email: "a@x.example", Attributes: map[string]string{"plan": "pro"}}, notice.Customer{ID: "bob"}
	malformed := notice.Rejection{Line: 3, Column: "email", Reason: "is no address"}
	twin := notice.Rejection{Line: 4, Column: "id", Reason: "the same id stands on line 2"}
	why := func(column, reason string, line int) notice.RejectionReason {
		return notice.RejectionReason{Column: column, Reason: reason, Count: 1, Line: line}
	}
	twice := why("id", "the same id stands on an earlier line", 4)
	strict := notice.ImportOptions{Strict: true}

	for _, step := range []struct {
		name    string
		file    file
		options notice.ImportOptions
		want    notice.ImportReport
	}{
		{"an empty file does nothing", file{}, notice.ImportOptions{}, notice.ImportReport{Kept: true}},
		{"strict keeps nothing of a file with a bad row", file{rowOf(2, ann), malformed}, strict,
			notice.ImportReport{Read: 2, Rejected: []notice.Rejection{malformed}, Reasons: []notice.RejectionReason{why("email", "is no address", 3)}}},
		{"nor of one with a twin", file{rowOf(2, ann), rowOf(4, ann)}, strict,
			notice.ImportReport{Read: 2, Rejected: []notice.Rejection{twin}, Reasons: []notice.RejectionReason{twice}}},
		{"a dry run counts and keeps nothing", file{rowOf(2, ann), rowOf(3, bob)}, notice.ImportOptions{DryRun: true},
			notice.ImportReport{Read: 2, Inserted: 2}},
		{"good rows are kept beside bad ones, rejections by line",
			file{rowOf(2, ann), malformed, rowOf(4, notice.Customer{ID: "ann", Name: "later"}), rowOf(5, bob),
				notice.Rejection{Line: 6, Reason: "has two fields"}, rowOf(7, notice.Customer{ID: "zero\x00"})}, notice.ImportOptions{},
			notice.ImportReport{Read: 6, Inserted: 2, Kept: true, Rejected: []notice.Rejection{malformed, twin,
				{Line: 6, Reason: "has two fields"}, {Line: 7, Column: "id", Reason: "is not UTF-8, or holds a zero byte"}},
				Reasons: []notice.RejectionReason{why("email", "is no address", 3), twice, why("", "has two fields", 6),
					why("id", "is not UTF-8, or holds a zero byte", 7)}}},
		{"the same again is unchanged, strict too", file{rowOf(2, ann), rowOf(3, bob)}, strict,
			notice.ImportReport{Read: 2, Unchanged: 2, Kept: true}},
		{"an attribute without a value is no change", file{rowOf(2, notice.Customer{ID: "bob", Attributes: map[string]string{"plan": ""}})}, notice.ImportOptions{},
			notice.ImportReport{Read: 1, Unchanged: 1, Kept: true}},
		{"what is not given stays", file{notice.CustomerRow{Line: 2, Customer: notice.Customer{ID: "ann"}}}, notice.ImportOptions{},
			notice.ImportReport{Read: 1, Unchanged: 1, Kept: true}},
		{"what is given and empty is cleared", file{notice.CustomerRow{Line: 2, Given: notice.GivenEmail,
			Customer: notice.Customer{ID: "ann", Attributes: map[string]string{"plan": "", "seats": "3"}}}}, notice.ImportOptions{DryRun: true},
			notice.ImportReport{Read: 1, Updated: 1, Cleared: map[string]int{"email": 1, "attributes.plan": 1}}},
		{"an attribute that is gone is a change", file{rowOf(2, notice.Customer{ID: "ann", Email: "a@x.example"}), rowOf(3, bob)}, notice.ImportOptions{},
			notice.ImportReport{Read: 2, Updated: 1, Unchanged: 1, Cleared: map[string]int{"attributes.plan": 1}, Kept: true}},
		{"another spelling of an address is one", file{rowOf(2, notice.Customer{ID: "ann", Email: "A@x.example"})}, notice.ImportOptions{},
			notice.ImportReport{Read: 1, Updated: 1, Kept: true}},
	} {
		got, err := db.ImportCustomers(t.Context(), &step.file, step.options)
		if err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(report(step.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if got, err := db.Customer(t.Context(), "ann"); err != nil || got.Name != "" || got.Email != "A@x.example" {
		t.Errorf("ann is %+v, %v", got, err)
	}
}

// columns is a file with only some columns: a row of it gives those fields, and those attributes.
func columns(given notice.Fields, customers ...notice.Customer) *file {
	var f file
	for i, c := range customers {
		row := rowOf(i+2, c)
		row.Given = given
		f = append(f, row)
	}
	return &f
}

func TestAFileWithFewColumnsLeavesTheOthersAsTheyAre(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	full := notice.Customer{ID: "A1", Name: "Ann", Email: "Ann@x.example", AlternateEmail: "a@y.example", Language: "nl",
		TimeZone: "Europe/Amsterdam", Attributes: map[string]string{"plan": "gold", "server": "s1"}}
	db.put(t, full)
	got, err := db.ImportCustomers(t.Context(), columns(0, notice.Customer{ID: "A1", Attributes: map[string]string{"plan": "silver"}},
		notice.Customer{ID: "B2", Attributes: map[string]string{"plan": "gold"}}), notice.ImportOptions{})
	want := report(notice.ImportReport{Read: 2, Inserted: 1, Updated: 1, Kept: true})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	full.Attributes["plan"] = "silver"
	db.is(t, full)
	db.is(t, notice.Customer{ID: "B2", Attributes: map[string]string{"plan": "gold"}})

	// An empty cell empties, and only that.
	got, err = db.ImportCustomers(t.Context(), columns(notice.GivenEmail, notice.Customer{ID: "A1", Attributes: map[string]string{"server": ""}}), notice.ImportOptions{})
	want = report(notice.ImportReport{Read: 1, Updated: 1, Cleared: map[string]int{"email": 1, "attributes.server": 1}, Kept: true})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	full.Email = ""
	delete(full.Attributes, "server")
	db.is(t, full)
}

// is compares a customer with the one that is kept.
func (s store) is(t *testing.T, want notice.Customer) {
	t.Helper()
	got, err := s.Customer(t.Context(), want.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("customer %s: %v (-want +got):\n%s", want.ID, err, diff)
	}
}

func TestNamesThatDifferByCaseAreOneAttribute(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	for i, name := range []string{"Plan", "plan", "PLAN"} {
		id := strconv.Itoa(i)
		if _, err := db.ImportCustomers(t.Context(), columns(0, notice.Customer{ID: id, Attributes: map[string]string{name: "gold"}}), notice.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		db.is(t, notice.Customer{ID: id, Attributes: map[string]string{"Plan": "gold"}})
	}
	filter := notice.Filter{Op: notice.FilterEq, Field: "plan", Attribute: true, Value: "gold"}
	if found, err := db.selects(t.Context(), filter); err != nil || len(found) != 3 {
		t.Errorf("plan = \"gold\" finds %v, %v", found, err)
	}
	db.put(t, notice.Customer{ID: "3", Attributes: map[string]string{"pLAN": "gold"}})
	db.is(t, notice.Customer{ID: "3", Attributes: map[string]string{"Plan": "gold"}})
	row := notice.CustomerRow{Customer: notice.Customer{ID: "3", Attributes: map[string]string{"plaN": "", "Seats": "3"}}}
	if _, err := db.PatchCustomer(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	db.is(t, notice.Customer{ID: "3", Attributes: map[string]string{"Seats": "3"}})
}

func TestPatchChangesWhatIsGiven(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	full := notice.Customer{ID: "A1", Name: "Ann", Email: "Ann@x.example", Language: "nl", Attributes: map[string]string{"plan": "gold", "server": "s1"}}
	db.put(t, full)
	row := notice.CustomerRow{Given: notice.GivenLanguage | notice.GivenTimeZone,
		Customer: notice.Customer{ID: "A1", TimeZone: "Europe/Berlin", Attributes: map[string]string{"plan": "", "seats": "3"}}}
	full.Language, full.TimeZone, full.Attributes = "", "Europe/Berlin", map[string]string{"server": "s1", "seats": "3"}
	if kept, err := db.PatchCustomer(t.Context(), row); err != nil || !cmp.Equal(full, kept) {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(full, kept))
	}
	db.is(t, full)
	row = notice.CustomerRow{Given: notice.GivenAttributes, Customer: notice.Customer{ID: "A1"}}
	full.Attributes = map[string]string{}
	if kept, err := db.PatchCustomer(t.Context(), row); err != nil || !cmp.Equal(full, kept) {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(full, kept))
	}
	if row.Customer.ID = "nobody"; notice.CodeOf(second(db.PatchCustomer(t.Context(), row))) != notice.CodeNotFound {
		t.Error("who is not there is changed")
	}
}

func second[T any](_ T, err error) error { return err }

// bad is a file of n rows, each tenth or so of them bad.
type bad struct{ n, every, i int }

func (b *bad) Next() (row notice.CustomerRow, _ *notice.Rejection, err error) {
	if b.i == b.n {
		return row, nil, io.EOF
	}
	if b.i++; b.i%b.every == 0 {
		return row, &notice.Rejection{Line: b.i + 1, Column: "c" + strconv.Itoa(b.i), Reason: "is bad"}, nil
	}
	return rowOf(b.i+1, notice.Customer{ID: strconv.Itoa(b.i)}), nil, nil
}

func TestAFileWithTooManyBadRowsKeepsNothing(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	for _, c := range []struct {
		n, every int
		keepGood bool
		kept     bool
	}{
		{99, 2, false, true},    // a small file
		{100, 20, false, true},  // a twentieth
		{100, 19, false, true},  // five of a hundred
		{100, 16, false, false}, // six
		{100, 16, true, true},
		{2000, 1, false, false},
		{2000, 1, true, true},
	} {
		db.exec(t, `DELETE FROM customer`)
		got, err := db.ImportCustomers(t.Context(), &bad{n: c.n, every: c.every}, notice.ImportOptions{KeepGood: c.keepGood})
		good := 0
		if c.kept {
			good = c.n - c.n/c.every
		}
		if err != nil || got.Kept != c.kept || got.Inserted != good || got.RejectedCount != c.n/c.every || got.Read != c.n {
			t.Errorf("%+v: kept %v, inserted %d, rejected %d, %v", c, got.Kept, got.Inserted, got.RejectedCount, err)
		}
		if len(got.Rejected) > notice.MaxRejections || len(got.Reasons) > 101 {
			t.Errorf("%+v: %d rejections and %d reasons are listed", c, len(got.Rejected), len(got.Reasons))
		}
		sum := 0
		for _, r := range got.Reasons {
			sum += r.Count
		}
		if sum != got.RejectedCount {
			t.Errorf("%+v: the reasons are those of %d rows, and %d are rejected", c, sum, got.RejectedCount)
		}
	}
}

func TestSyncRetiresWhoIsNotInTheFile(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	var all []notice.Customer
	for i := range 20 {
		all = append(all, notice.Customer{ID: fmt.Sprintf("c%02d", i)})
	}
	db.put(t, all...)
	sync := notice.ImportOptions{Sync: true, MaxRetired: 5}
	got, err := db.ImportCustomers(t.Context(), columns(0, append(all[1:], notice.Customer{ID: "new"})...), sync)
	want := report(notice.ImportReport{Read: 20, Inserted: 1, Unchanged: 19, Retired: 1, Kept: true})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := db.Customer(t.Context(), "c00"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("c00 is not retired: %v", err)
	}
	for name, f := range map[string]*file{"too many": columns(0, all[3:]...), "an empty file": columns(0)} {
		if _, err := db.ImportCustomers(t.Context(), f, sync); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	withBad := *columns(0, all[1:]...)
	withBad = append(withBad, notice.Rejection{Line: 99, Reason: "is bad"})
	if got, err := db.ImportCustomers(t.Context(), &withBad, sync); err != nil || got.Kept || got.Retired != 0 {
		t.Errorf("with a bad row: %+v, %v", got, err)
	}
	db.is(t, notice.Customer{ID: "c01", Attributes: map[string]string{}})
	sync.MaxRetired = 100
	if got, err := db.ImportCustomers(t.Context(), columns(0, all[19]), sync); err != nil || got.Retired != 19 {
		t.Errorf("all but one: %+v, %v", got, err)
	}
}

func TestImportKeepsNothingOfAFileThatBreaksOff(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	broken := notice.Invalid("customers.csv:3", "a quote is never closed")
	_, err := db.ImportCustomers(t.Context(), &file{rowOf(2, notice.Customer{ID: "1"}), error(broken)}, notice.ImportOptions{})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the file's own", err)
	}
	if _, err := db.Customer(t.Context(), "1"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("the row before the break: %v, want not_found", err)
	}
	// The connection that was copying must be as good as new.
	if got, err := db.ImportCustomers(t.Context(), &file{rowOf(2, notice.Customer{ID: "1"})}, notice.ImportOptions{}); err != nil || got.Inserted != 1 {
		t.Errorf("the whole file afterwards: %+v, %v", got, err)
	}
}

func TestImportsAtOnceTakeTurns(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	const n = 2000
	var up file
	for i := range n {
		up = append(up, rowOf(i+2, notice.Customer{ID: fmt.Sprintf("%05d", i)}))
	}
	var wg sync.WaitGroup
	reports := make([]notice.ImportReport, 6)
	for k := range reports {
		f := make(file, n)
		for i, entry := range up {
			row := entry.(notice.CustomerRow)
			row.Customer.Name = "import " + strconv.Itoa(k)
			f[i] = row
		}
		if k%2 == 1 {
			slices.Reverse(f)
		}
		wg.Go(func() {
			var err error
			if reports[k], err = db.ImportCustomers(t.Context(), &f, notice.ImportOptions{}); err != nil {
				t.Errorf("import %d: %v", k, err)
			}
		})
	}
	wg.Wait()
	var inserted, updated, names int
	for _, r := range reports {
		inserted += r.Inserted
		updated += r.Updated
	}
	if inserted != n || updated != (len(reports)-1)*n {
		t.Errorf("inserted %d, updated %d of %d customers", inserted, updated, n)
	}
	if err := db.pool.QueryRow(t.Context(), `SELECT count(DISTINCT name) FROM customer`).Scan(&names); err != nil || names != 1 {
		t.Errorf("the customers are those of %d files, want all of the last one (%v)", names, err)
	}
}
