package proc_test

import (
	"os"
	"os/exec"
	"testing"
)

// In a container that allows no namespaces and no change of user, and in one
// without /proc, confined programs still run, and behave like plain ones.
func TestRestrictedContainer(t *testing.T) {
	t.Parallel()
	needUserNamespace(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const stillHold = "^(TestRun|TestRunExtraFiles|TestExitErrorText|TestTail|TestConfineBigEnvironment|" +
		"TestCancelAsksFirst|TestCancelInsists|TestCancelHarmless|TestStragglersKilled)$"
	const withHelper = stillHold + "|^TestMissingInterpreter$"
	const noNamespaces = `for kind in user net pid ipc; do echo 0 > /proc/sys/user/max_${kind}_namespaces || exit; done
		! unshare --pid --fork true 2>/dev/null || exit
		! setpriv --reuid 65534 true 2>/dev/null || exit
		exec "$@"`
	const noProc = `mount -t tmpfs none /proc || exit; exec "$@"`
	tests := []struct{ name, prepare, run string }{
		{"no namespaces", noNamespaces, withHelper},
		{"no /proc", noProc, stillHold},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount",
				"bash", "-c", test.prepare, "bash", self, "-test.run="+test.run, "-test.timeout=60s")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("tests in a restricted container: %v\n%s", err, out)
			}
		})
	}
}

// needUserNamespace skips the test where unshare(1) cannot make one.
func needUserNamespace(t *testing.T) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "true")
	if err := c.Run(); err != nil {
		t.Skipf("unshare(1) cannot have a user namespace here: %v", err)
	}
}
