package api

import (
	"context"
	"io"
	"mime"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// customerBody is notice.Customer, of which only what is known need be sent.
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
			c, err := s.book.Customer(ctx, in.ID)
			c.Attributes = filled(c.Attributes)
			return ok(c, err)
		}, 404)
	put := op("put-customer", http.MethodPut, "/v1/customers/{id}", "Create or replace a customer")
	put.Responses = map[string]*huma.Response{"201": jsonResponse[notice.Customer](api, "Created")}
	register(s, api, put, s.putCustomer, 400, 413, 415, 422)
	register(s, api, op("delete-customer", http.MethodDelete, "/v1/customers/{id}", "Erase a customer; what was sent stays counted, without a name or an address"),
		func(ctx context.Context, in *customerInput) (*struct{}, error) {
			return nil, s.book.DeleteCustomer(ctx, in.ID)
		}, 404)
	register(s, api, op("customer-deliveries", http.MethodGet, "/v1/customers/{id}/deliveries", "What a customer, or an address, was to be told"),
		s.history, 404)
	imports := op("import-customers", http.MethodPost, "/v1/customers/import", "Take in a customer file of any size")
	imports.Description = "Good rows are kept and bad ones listed; with strict nothing is kept if any row is bad."
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
	if c.ID != in.ID {
		return nil, notice.Invalid("id", "differs from the one in the path")
	}
	created, err := s.book.PutCustomer(ctx, row)
	row.Customer.Attributes = filled(row.Customer.Attributes)
	out, err := ok(row.Customer, err)
	if err == nil && created {
		out.Status = http.StatusCreated
	}
	return out, err
}

func (s *Server) history(ctx context.Context, in *struct {
	ID string `path:"id" doc:"the customer's external id, or an address"`
}) (*answer[historyList], error) {
	var key string
	if a, err := audience.ParseAddress(in.ID); err == nil {
		key = a.Key()
	}
	entries, err := s.book.History(ctx, in.ID, key)
	for i := range entries {
		tidyDelivery(&entries[i].Delivery)
	}
	return ok(historyList{Deliveries: orEmpty(entries)}, err)
}

// importInput takes hold of the body before anything reads it whole.
type importInput struct {
	Strict bool `query:"strict" doc:"keep nothing if any row is bad"`
	format string
	file   io.Reader
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
	format, known := map[Format]audience.FileFormat{FormatCSV: audience.FormatCSV, FormatNDJSON: audience.FormatNDJSON}[Format(mediaType(in.format))]
	if !known {
		return nil, unsupported(string(FormatCSV), string(FormatNDJSON))
	}
	report, err := s.readCustomers(ctx, in, format)
	if err != nil {
		_, _ = io.CopyN(io.Discard, in.file, drainLimit)
	}
	report.Rejected = orEmpty(report.Rejected)
	return ok(report, err)
}

// mediaType is a Content-Type without its parameters.
func mediaType(header string) string {
	media, _, _ := mime.ParseMediaType(header)
	return media
}

func (s *Server) readCustomers(ctx context.Context, in *importInput, format audience.FileFormat) (notice.ImportReport, error) {
	rows, err := audience.NewReader(in.file, format)
	if err != nil {
		return notice.ImportReport{}, err
	}
	return s.book.ImportCustomers(ctx, rows, in.Strict)
}
