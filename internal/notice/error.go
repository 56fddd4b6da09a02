package notice

import (
	"errors"
	"fmt"
)

// Code classes an error for the caller, who must react to it; HTTP and exit codes follow from it.
type Code string

// The classes of errors.
const (
	CodeInvalid  Code = "invalid"   // the input is wrong; Field says where
	CodeNotFound Code = "not_found" // no such notice, customer, …
	CodeConflict Code = "conflict"  // it stands otherwise than the request presumes
	CodeTooEarly Code = "too_early" // not yet: the message says from when
	// CodePlanChanged says that the plan which was shown is not the one that would go: Error.Drift counts the differences.
	CodePlanChanged Code = "plan_changed"
)

// Error is a domain error. Message is safe to show to the caller: it never holds personal data of others.
type Error struct {
	Code    Code
	Field   string // the field, setting, column or file:line at fault; may be empty
	Message string
	Check   string // the name of the check that refuses, where an operator may overrule it
	Drift   *Drift // of CodePlanChanged; nil where it is not known
	Form    string // the format of Message, by which its texts in other languages are found; "" = there are none
	Args    []any  // of Form
}

func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// Invalid is an error about one field of the input.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...), Form: format, Args: args}
}

// NotFound says that the thing that was named does not exist.
func NotFound(format string, args ...any) *Error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf(format, args...), Form: format, Args: args}
}

// Conflict says that the state of things forbids the request.
func Conflict(format string, args ...any) *Error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(format, args...), Form: format, Args: args}
}

// CodeOf returns the code of the domain error that err wraps, "" if there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Unready says why an installation can't do its work as it is set up: waiting does not mend it. It is safe to show.
type Unready string

func (u Unready) Error() string { return string(u) }
