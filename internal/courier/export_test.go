package courier

import "time"

// Signature is for the tests, which hold it to the specification's example.
var Signature = signature

// SetNoticePause changes how long is waited before sending again.
func SetNoticePause(n *Notices, pause time.Duration) { n.pause = pause }
