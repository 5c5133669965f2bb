# Makes fresh namespaces a place for a bed with a node, then runs the command it is given. See isolation.py.
set -eu

ip link set lo up

# The container runtime, the kubelet and the CNI plugins leave traces here that no option moves elsewhere.
mount -t tmpfs -o mode=755 testbed /run
mount -t tmpfs -o mode=755 testbed /var/log
mkdir -p /run/lock /run/testbed/upper /run/testbed/work /run/testbed/kernel
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/testbed/upper,workdir=/run/testbed/work testbed /var/lib

# What the kubelet wants of the kernel, and would otherwise set for the whole machine: it is shown files that say so.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  name=${setting%=*}
  shown=/run/testbed/kernel/$(echo "$name" | tr / .)
  echo "${setting#*=}" > "$shown"
  mount --bind "$shown" "/proc/sys/$name"
done

CERTWRIGHT_TESTBED_NETWORK=$(readlink /proc/self/ns/net)
export CERTWRIGHT_TESTBED_NETWORK

# No exec: this shell stays, as process 1, and reaps orphans.
"$@" || exit $?
exit 0
