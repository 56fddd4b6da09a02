package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/internal/notice"
)

// maxBody is how large a JSON body may be, but for that of a notice.
const maxBody = 1 << 20

// strictNames has huma take the name of a member in its own case alone, as it takes every name but that of a field.
var strictNames = sync.OnceFunc(func() { huma.ValidateStrictCasing = true })

// describe registers the operations of those parts and returns the OpenAPI 3.1 document of them all.
func (s *Server) describe(version string, parts ...func(huma.API)) []byte {
	strictNames()
	config := huma.DefaultConfig("Tocsin", version)
	config.Info.Description = "Mails an incident or maintenance notice to every customer who must know, once, and proves afterwards who got it."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	// Its own document, without references in the answers and without a page that loads scripts from elsewhere.
	config.CreateHooks, config.OpenAPIPath, config.DocsPath, config.SchemasPath = nil, "", "", ""
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: decodeJSON}
	config.Formats = map[string]huma.Format{"application/json": format, "json": format} // the latter for …+json
	config.RejectUnknownQueryParameters = true
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[notice.Audience](), reflect.TypeFor[audienceSchema]())
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[notice.Parameter](), reflect.TypeFor[parameterSchema]())
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[notice.Time](), reflect.TypeFor[timeSchema]())
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	config.Transformers = []huma.Transformer{func(ctx huma.Context, _ string, v any) (any, error) {
		if m, ok := v.(*huma.ErrorModel); ok {
			return invalid(ctx.Context(), m), nil
		}
		return v, nil
	}}
	api := humago.New(s.mux, config)
	api.UseMiddleware(refuseRepeated)
	for _, part := range parts {
		part(api)
	}
	refine(config.Components.Schemas.Map())
	document, err := json.Marshal(api.OpenAPI())
	if err != nil {
		panic(fmt.Sprintf("encode the OpenAPI document: %v", err))
	}
	return document
}

// refuseRepeated refuses a parameter that is given twice, unless it is a list: a server can't guess which one is meant.
func refuseRepeated(hctx huma.Context, next func(huma.Context)) {
	u := hctx.URL()
	query := u.Query()
	p := plain(http.StatusUnprocessableEntity, "a parameter of the query is given twice")
	p.Code = notice.CodeInvalid
	for _, parameter := range hctx.Operation().Parameters {
		if parameter.In == "query" && parameter.Schema.Type != huma.TypeArray && len(query[parameter.Name]) > 1 {
			p.Errors = append(p.Errors, FieldError{Field: parameter.Name, Message: "is given twice"})
		}
	}
	if len(p.Errors) == 0 {
		next(hctx)
		return
	}
	r, w := humago.Unwrap(hctx)
	p.write(w, r)
}

// serveDocument answers with the OpenAPI document.
func serveDocument(document []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // fails only if the client has gone
	}
}

// register adds an operation; its errors become problems. failures are the statuses besides 401 and 500 that the
// document has for its refusals.
func register[I, O any](s *Server, api huma.API, op huma.Operation, handle func(context.Context, *I) (*O, error), failures ...int) {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	op.MaxBodyBytes, op.BodyReadTimeout = op.MaxBodyBytes+1, -1 // huma refuses a body of exactly its limit
	if op.Security == nil {
		op.Security = []map[string][]string{{"token": {}}}
		failures = append(failures, http.StatusUnauthorized, http.StatusForbidden)
		op.Extensions = map[string]any{"x-least-role": leastRole[op.Method+" "+op.Path]}
	}
	document(api, &op, append(failures, http.StatusInternalServerError))
	if op.Method != http.MethodGet {
		op.Parameters = append(op.Parameters, &huma.Param{Name: operatorHeader, In: "header", Schema: &huma.Schema{Type: "string"},
			Description: "a note about the person at the client, at most 100 bytes; it stands in the log with the name of the token"})
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

// document adds the problem documents of those statuses to op.
func document(api huma.API, op *huma.Operation, failures []int) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	schema := schemaOf[Problem](api)
	for _, status := range failures {
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
}

// schemaOf returns the schema of T, or a reference to it.
func schemaOf[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// schemaName gives the schemas the names of the vocabulary where Go's differ.
func schemaName(t reflect.Type, hint string) string {
	switch t {
	case reflect.TypeFor[notice.Body](), reflect.TypeFor[*notice.Body]():
		return "Notice"
	case reflect.TypeFor[customerBody]():
		return "CustomerInput"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// refine adds two facts to the schemas that Go's types do not say: closed sets, and that no list is ever null.
func refine(schemas map[string]*huma.Schema) {
	// Huma describes its own errors, which are never sent.
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	var phases []string
	seen := map[string]bool{}
	for _, kind := range notice.Kinds {
		for _, phase := range notice.Phases[kind] {
			if !seen[phase] {
				seen[phase] = true
				phases = append(phases, phase)
			}
		}
	}
	closed := map[string][]any{
		"kind":        anys(notice.Kinds),
		"phase":       anys(phases),
		"severity":    anys(notice.Severities),
		"audience_at": anys([]notice.Moment{notice.AtRelease, notice.AtSend}),
		"stacked":     anys([]notice.Stacking{notice.StackNever, notice.StackUnmatched, notice.StackAlways}),
	}
	for name, schema := range schemas {
		for field, p := range schema.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
			if values, ok := closed[field]; ok {
				p.Enum = values
			}
			if field == "state" && name == "Delivery" {
				p.Enum = anys(stateNames())
			}
			p.PrecomputeMessages()
		}
	}
}

func anys[T ~string](values []T) (list []any) {
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}

func stateNames() (names []string) {
	for _, s := range notice.DeliveryStates {
		names = append(names, s.String())
	}
	return names
}

// decodeJSON reads a body. Its errors name the place of a fault and never repeat the body.
func decodeJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	if err := uniqueMembers(data); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the body goes on after its JSON value, at byte %d", dec.InputOffset())
	}
	if tree, ok := v.(*any); ok && !storableTree(*tree) {
		return errors.New("the body holds a NUL character")
	}
	return nil
}

func jsonError(err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the body is not JSON from byte %d on", e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("a value at byte %d is of another type than its field", e.Offset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the body is not JSON: it ends too soon")
	}
	return errors.New("a value does not fit its field")
}

// storableTree reports whether the database can hold every text of a JSON value.
func storableTree(v any) bool {
	switch v := v.(type) {
	case string:
		return storable(v)
	case []any:
		for _, e := range v {
			if !storableTree(e) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if !storable(k) || !storableTree(e) {
				return false
			}
		}
	}
	return true
}
