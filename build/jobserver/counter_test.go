package jobserver_test

import (
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// counter knows at every moment which compilers run: each is a connection, which
// is closed when it may end.
type counter struct {
	abs     string
	arrived chan struct{} // one for each that begins

	mu      sync.Mutex
	running []net.Conn
	most    int // that ran at the same moment
	total   int
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{abs: filepath.Join(t.TempDir(), "counter"), arrived: make(chan struct{}, 1000)}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", c.abs)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.running = append(c.running, conn)
			c.total++
			c.most = max(c.most, len(c.running))
			c.mu.Unlock()
			c.arrived <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, conn := range c.running {
			conn.Close()
		}
	})
	return c
}

// await waits until so many run. It never sees fewer than may run for long, or
// the test ends here.
func (c *counter) await(t *testing.T, running int) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		n := len(c.running)
		c.mu.Unlock()
		if n >= running {
			return
		}
		select {
		case <-c.arrived:
		case <-timeout:
			t.Fatalf("%d compilers run, want %d", n, running)
		}
	}
}

// end lets the one that has run longest, or the newest, end.
func (c *counter) end(oldest bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.running) - 1
	if oldest {
		i = 0
	}
	c.running[i].Close()
	c.running = append(c.running[:i], c.running[i+1:]...)
}

// drain lets all end, keeping so many at work as long as there is more to come,
// in total so many.
func (c *counter) drain(t *testing.T, keep, total int) {
	t.Helper()
	for ended := range total {
		c.await(t, min(keep, total-ended))
		c.end(ended%2 == 0)
	}
}
