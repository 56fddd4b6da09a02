package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// maxNoticeBody is how large the body of a notice may be with its filter and its list of customers. A list of 200,000
// takes 2 to 6 MiB. All the rest has the limit of any other body.
const maxNoticeBody = 16 << 20

// checkSize refuses a notice that is too large without its audience.
func checkSize(raw []byte, b notice.Body) error {
	size := len(raw)
	if size > maxBody {
		b.Audience, b.Broken.Filter = notice.Audience{}, ""
		rest, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("encode the body: %w", err)
		}
		size = len(rest)
	}
	if size <= maxBody {
		return nil
	}
	p := plain(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB, its audience not counted")
	p.Code = notice.CodeInvalid
	return p
}

// parameterSchema describes notice.Parameter: a text, or one for each language.
type parameterSchema struct{}

// Schema makes parameterSchema a huma.SchemaProvider.
func (parameterSchema) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{
		Description: "One text for every language, or an object of texts by language (BCP 47).",
		OneOf:       []*huma.Schema{text, {Type: huma.TypeObject, AdditionalProperties: text}},
	}
}

// timeSchema describes notice.Time.
type timeSchema struct{}

// Schema makes timeSchema a huma.SchemaProvider.
func (timeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:        huma.TypeString,
		Description: "A time with its offset from UTC (RFC 3339), or as the clock of the notice's zone shows it, which takes a zone.",
		Examples:    []any{"2026-11-06T09:00:00+01:00", "2026-11-06T09:00"},
	}
}

func deliveryStates() (names []any) {
	for _, s := range notice.DeliveryStates {
		names = append(names, s.String())
	}
	return names
}

// audienceSchema describes notice.Audience, which Go's types can't: a filter alone is a text.
type audienceSchema struct{}

// Schema makes audienceSchema a huma.SchemaProvider.
func (audienceSchema) Schema(huma.Registry) *huma.Schema {
	text, most, longest := &huma.Schema{Type: huma.TypeString}, notice.MaxListed, 1000
	object := &huma.Schema{
		Type:                 huma.TypeObject,
		AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"filter": text,
			"customers": {Type: huma.TypeArray, MaxItems: &most, Items: &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
				Description: "external ids: these customers alone"},
			"notice": {Type: huma.TypeString, Description: "the key of an earlier notice: whoever stood on it, whatever became of the mail"},
			"state": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Enum: deliveryStates()},
				Description: "of the earlier notice, those whose mail is in one of these states alone"},
			"contact": {Type: huma.TypeString, Enum: []any{string(notice.Alternate)},
				Description: "at their alternate addresses, and not again at a mailbox where the earlier notice stood in one of the states"},
			"include_new": {Type: huma.TypeBoolean,
				Description: "and whoever matches the earlier notice's own audience now, though they did not stand on it"},
		},
	}
	return &huma.Schema{
		Description: "Who is to be told: all for every customer, an AIP-160 filter over customers, or an object of a filter and a list of customers or an earlier notice. Required of whatever was not released before.",
		OneOf:       []*huma.Schema{text, object},
	}
}
