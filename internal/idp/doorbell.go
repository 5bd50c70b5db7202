package idp

// Doorbell is a call that the provider makes when settings are changed, so that
// the event log is read at once.
type Doorbell struct {
	// Name tells our doorbells apart at the provider, and from everybody else's.
	Name string
	// Endpoint is the URL to call.
	Endpoint string
}

// DoorbellState is what a doorbell is at the provider.
type DoorbellState struct {
	// Key is what the calls are signed with. Secret.
	Key string `json:"-"`
	// Taken lists, in words of the provider, the conditions under which somebody
	// else is called, and therefore not we. Sorted.
	Taken []string
}
