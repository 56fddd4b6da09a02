package notice

// BounceClass is why a mail came back. Only NoMailbox and Full are about the mailbox.
type BounceClass string

// The classes.
const (
	BounceNoMailbox BounceClass = "no_such_mailbox" // the mailbox or its domain does not exist, or has moved
	BounceFull      BounceClass = "full"            // the mailbox takes nothing more for now
	BouncePolicy    BounceClass = "policy"          // refused for the sender, the content or the way it came: our side's fault
	BounceTransient BounceClass = "transient"       // trouble of servers, networks or rates that lasted too long
	BounceOther     BounceClass = "other"           // anything else, such as a mailbox that was disabled
)

// BounceClasses are all of them.
var BounceClasses = []BounceClass{BounceNoMailbox, BounceFull, BouncePolicy, BounceTransient, BounceOther}
