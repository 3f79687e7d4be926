package hooks

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// patience is how long to wait for room in the service manager's socket.
const patience = 100 * time.Millisecond

// Notifier tells the service manager how things stand, as sd_notify(3) does: a datagram of NAME=value lines to the socket
// that NOTIFY_SOCKET names. The zero value tells nobody.
type Notifier struct {
	Socket string // a path, or with "@" in front a name in the abstract namespace
}

// Notify sends the lines.
func (n Notifier) Notify(lines ...string) error {
	if n.Socket == "" {
		return nil
	}
	// The net package knows the "@" of abstract names itself.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.Socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer c.Close() //nolint:errcheck // a datagram is sent or not, whatever comes after
	// A manager that does not listen must not hold up what it is to be told of.
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	if _, err := c.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}
