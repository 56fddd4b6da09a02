package api

import (
	"cmp"
	"context"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// customerBody is notice.Customer, of which clients may leave out unknown fields.
type customerBody struct {
	ID             string            `json:"id,omitempty" doc:"the one in the path; may be left out"`
	Name           string            `json:"name,omitempty"`
	Email          string            `json:"email,omitempty" doc:"the primary contact"`
	AlternateEmail string            `json:"alternate_email,omitempty" doc:"a mailbox kept elsewhere"`
	Language       string            `json:"language,omitempty" doc:"BCP 47"`
	TimeZone       string            `json:"time_zone,omitempty" doc:"IANA"`
	Attributes     map[string]string `json:"attributes,omitempty" doc:"an empty value is absent"`
}

type customerInput struct {
	ID string `path:"id" doc:"the customer's external id"`
}

func (s *Server) describeCustomers(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"customers"}}
	}
	register(s, api, op("get-customer", http.MethodGet, "/v1/customers/{id}", "A customer"),
		func(ctx context.Context, in *customerInput) (*answer[notice.Customer], error) {
			c, err := s.customer(ctx, in.ID)
			c.Attributes = filled(c.Attributes)
			return ok(c, err)
		}, 404)
	put := op("put-customer", http.MethodPut, "/v1/customers/{id}", "Create or replace a customer")
	put.Responses = map[string]*huma.Response{"201": jsonResponse[notice.Customer](api, "Created")}
	register(s, api, put, s.putCustomer, 400, 413, 415, 422)
	change := op("patch-customer", http.MethodPatch, "/v1/customers/{id}", "Change some fields of a customer")
	change.Description = "A JSON Merge Patch (RFC 7396): what it does not name stays as it is, and null empties. Attributes are changed one by one."
	change.SkipValidateBody = true // CheckPatch does
	patchBody := &huma.MediaType{Schema: schemaOf[customerPatch](api)}
	change.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{mergePatch: patchBody, "application/json": patchBody}}
	register(s, api, change, s.patchCustomer, 400, 404, 413, 415, 422)
	register(s, api, op("delete-customer", http.MethodDelete, "/v1/customers/{id}", "Erase a customer; what was sent stays counted, without a name or an address"),
		func(ctx context.Context, in *customerInput) (*struct{}, error) {
			return nil, s.book.DeleteCustomer(ctx, in.ID)
		}, 404)
	register(s, api, op("customer-deliveries", http.MethodGet, "/v1/customers/{id}/deliveries", "What a customer, or an address, was to be told"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" doc:"the customer's external id, or an address"`
		}) (*answer[historyList], error) {
			return s.history(ctx, in.ID)
		})
	imports := op("import-customers", http.MethodPost, "/v1/customers/import", "Take in a customer file of any size")
	imports.Description = "A field that the file does not have stays as it is; an empty cell empties it. Good rows are kept and bad ones " +
		"listed, the first 1,000 of them. Of 100 rows or more nothing is kept where more than a twentieth is bad, unless keep_good says so; " +
		"with strict or sync nothing is kept if any row is bad."
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	imports.RequestBody = &huma.RequestBody{Required: true, Description: "The columns id, name, email, alternate_email, language " +
		"and time_zone in any order; every other one is an attribute. NDJSON has one such object a line.",
		Content: map[string]*huma.MediaType{string(FormatCSV): text, string(FormatNDJSON): text}}
	register(s, api, imports, s.importCustomers, 400, 408, 415, 422)
}

func (s *Server) putCustomer(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the customer's external id"`
	Body customerBody
}) (*answer[notice.Customer], error) {
	c := notice.Customer(in.Body)
	if c.ID == "" {
		c.ID = in.ID
	}
	row, err := audience.CheckCustomer(&c)
	if err != nil {
		return nil, err
	}
	if c.ID != audience.CanonicalID(in.ID) {
		return nil, notice.Invalid("id", "differs from the one in the path")
	}
	kept, created, err := s.book.PutCustomer(ctx, row)
	kept.Attributes = filled(kept.Attributes)
	return made(kept, created, err)
}

// mergePatch is the media type of RFC 7396.
const mergePatch = "application/merge-patch+json"

// customerPatch describes the body of a PATCH.
type customerPatch struct {
	ID             string             `json:"id,omitempty" doc:"the one in the path; may be left out"`
	Name           *string            `json:"name,omitempty"`
	Email          *string            `json:"email,omitempty" doc:"the primary contact"`
	AlternateEmail *string            `json:"alternate_email,omitempty" doc:"a mailbox kept elsewhere"`
	Language       *string            `json:"language,omitempty" doc:"BCP 47"`
	TimeZone       *string            `json:"time_zone,omitempty" doc:"IANA"`
	Attributes     map[string]*string `json:"attributes,omitempty" doc:"those to change; null or an empty value takes one away"`
}

// patchInput takes the body as it is: a decoder into a struct could not tell null from an absent field.
type patchInput struct {
	ID      string `path:"id" doc:"the customer's external id"`
	Type    string `header:"Content-Type" hidden:"true"`
	RawBody []byte
}

func (s *Server) patchCustomer(ctx context.Context, in *patchInput) (*answer[notice.Customer], error) {
	if media := mediaType(in.Type); media != mergePatch && media != "application/json" {
		return nil, unsupported(mergePatch, "application/json")
	}
	c, err := s.customer(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	row, err := audience.CheckPatch(c.ID, in.RawBody)
	if err != nil {
		return nil, err
	}
	kept, err := s.book.PatchCustomer(ctx, row)
	kept.Attributes = filled(kept.Attributes)
	return ok(kept, err)
}

// customer returns the customer with that id, in whatever normal form of Unicode it was asked for.
func (s *Server) customer(ctx context.Context, id string) (notice.Customer, error) {
	c, err := s.book.Customer(ctx, id)
	if canonical := audience.CanonicalID(id); notice.CodeOf(err) == notice.CodeNotFound && canonical != id {
		return s.book.Customer(ctx, canonical)
	}
	return c, err
}

// importInput takes hold of the body before anything reads it whole.
type importInput struct {
	Strict     bool     `query:"strict" doc:"keep nothing if any row is bad"`
	KeepGood   bool     `query:"keep_good" doc:"keep the good rows of a file of which more than a twentieth is bad"`
	DryRun     bool     `query:"dry_run" doc:"say what would be done, and do nothing"`
	Sync       bool     `query:"sync" doc:"the file is the whole list: customers who are not in it are retired"`
	MaxRetired float64  `query:"max_retired" default:"5" minimum:"0" maximum:"100" doc:"with sync: the most customers to retire, in percent"`
	Encoding   string   `query:"encoding" maxLength:"40" doc:"such as windows-1252; recognised where it is not given"`
	Map        []string `query:"map,explode" doc:"COLUMN=FIELD or COLUMN=ATTRIBUTE, what a column is that the header calls something else; COLUMN= leaves it out"`
	Attributes []string `query:"attribute,explode" doc:"columns that are attributes though their names look like a field's"`
	format     string
	file       io.Reader
}

// Resolve makes importInput a huma.Resolver.
func (in *importInput) Resolve(ctx huma.Context) []error {
	in.format, in.file = ctx.Header("Content-Type"), ctx.BodyReader()
	requestOf(ctx.Context()).body.rolling = true
	return nil
}

// drainLimit is how much of a refused file is still read, so that the client comes to reading why.
const drainLimit = 64 << 20

func (s *Server) importCustomers(ctx context.Context, in *importInput) (*answer[notice.ImportReport], error) {
	options, err := in.options()
	if err != nil {
		return nil, err
	}
	report, err := s.readCustomers(ctx, in, options)
	if err != nil {
		_, _ = io.CopyN(io.Discard, in.file, drainLimit) // fails only if the client has gone
	}
	return ok(report, err)
}

// options are how the file is to be read. A charset in the Content-Type is its encoding unless the query names one.
func (in *importInput) options() (o audience.FileOptions, err error) {
	media, parameters, _ := mime.ParseMediaType(in.format)
	o = audience.FileOptions{Encoding: cmp.Or(in.Encoding, parameters["charset"]), Map: map[string]string{}, Attributes: in.Attributes}
	switch Format(media) {
	case FormatCSV:
		o.Format = audience.FormatCSV
	case FormatNDJSON:
		o.Format = audience.FormatNDJSON
	default:
		return o, unsupported(string(FormatCSV), string(FormatNDJSON))
	}
	for _, m := range in.Map {
		// The name of a column may hold a "="; that of its field or attribute can't.
		i := strings.LastIndexByte(m, '=')
		if i < 1 {
			return o, notice.Invalid("map", "must be COLUMN=FIELD or COLUMN=ATTRIBUTE")
		}
		o.Map[m[:i]] = m[i+1:]
	}
	return o, nil
}

// mediaType is a Content-Type without its parameters.
func mediaType(header string) string {
	media, _, _ := mime.ParseMediaType(header)
	return media
}

func (s *Server) readCustomers(ctx context.Context, in *importInput, o audience.FileOptions) (notice.ImportReport, error) {
	rows, err := audience.NewReader(in.file, o)
	if err != nil {
		return notice.ImportReport{}, err
	}
	report, err := s.book.ImportCustomers(ctx, rows, notice.ImportOptions{
		Strict: in.Strict, KeepGood: in.KeepGood, DryRun: in.DryRun, Sync: in.Sync, MaxRetired: in.MaxRetired,
	})
	report.Encoding = rows.Encoding()
	report.Rejected, report.Reasons = orEmpty(report.Rejected), orEmpty(report.Reasons)
	if report.Cleared == nil {
		report.Cleared = map[string]int{}
	}
	return report, err
}
