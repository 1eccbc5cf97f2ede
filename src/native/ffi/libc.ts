/**
 * Bindings to libc and libuv as the running node exports them. Only `native` may import this.
 *
 * Pointers travel as numbers (`intptr_t`): a call costs about 40 ns that way, 65 with a Buffer. Sizes stay below 2^31, so results
 * are `int` and never a heap number.
 */
import koffi from 'koffi';

const self = koffi.load(null);

export const socket = self.func('int socket(int, int, int)');
export const bind = self.func('int bind(int, intptr_t, int)');
export const listen = self.func('int listen(int, int)');
export const connect = self.func('int connect(int, intptr_t, int)');
export const accept4 = self.func('int accept4(int, intptr_t, intptr_t, int)');
export const setsockopt = self.func('int setsockopt(int, int, int, intptr_t, int)');
export const getsockopt = self.func('int getsockopt(int, int, int, intptr_t, intptr_t)');
export const getsockname = self.func('int getsockname(int, intptr_t, intptr_t)');
export const send = self.func('int send(int, intptr_t, intptr_t, int)');
export const recv = self.func('int recv(int, intptr_t, intptr_t, int)');
export const sendmmsg = self.func('int sendmmsg(int, intptr_t, int, int)');
export const sendmsg = self.func('int sendmsg(int, intptr_t, int)');
export const recvmsg = self.func('int recvmsg(int, intptr_t, int)');
export const socketpair = self.func('int socketpair(int, int, int, intptr_t)');
export const shutdown = self.func('int shutdown(int, int)');
export const close = self.func('int close(int)');
export const fcntl = self.func('int fcntl(int, int, int)');
export const fcntlLock = self.func('fcntl', 'int', ['int', 'int', 'intptr_t']);
export const epollCreate = self.func('int epoll_create1(int)');
export const epollCtl = self.func('int epoll_ctl(int, int, int, intptr_t)');
export const epollWait = self.func('int epoll_wait(int, intptr_t, int, int)');
export const eventfd = self.func('int eventfd(uint32_t, int)');
export const read = self.func('int read(int, intptr_t, intptr_t)');
export const write = self.func('int write(int, intptr_t, intptr_t)');
export const memfdCreate = self.func('int memfd_create(const char*, uint32_t)');
export const ftruncate = self.func('int ftruncate(int, int64_t)');
export const mmap = self.func('intptr_t mmap(intptr_t, intptr_t, int, int, int, int64_t)');
export const munmap = self.func('int munmap(intptr_t, intptr_t)');
export const memcpy = self.func('intptr_t memcpy(intptr_t, intptr_t, intptr_t)');
export const strlen = self.func('intptr_t strlen(intptr_t)');
export const setenv = self.func('int setenv(const char*, const char*, int)');
export const open = self.func('int open(const char*, int, int)');
export const prctl = self.func('int prctl(int, intptr_t, intptr_t, intptr_t, intptr_t)');
export const capset = self.func('int capset(intptr_t, intptr_t)');
export const capget = self.func('int capget(intptr_t, intptr_t)');
export const setrlimit = self.func('int setrlimit(int, intptr_t)');
export const pread = self.func('int pread(int, intptr_t, intptr_t, int64_t)');
export const sysconf = self.func('long sysconf(int)');
export const getrlimit = self.func('int getrlimit(int, intptr_t)');
export const adjtimex = self.func('int adjtimex(intptr_t)');
export const mallocTrim = optional('int malloc_trim(intptr_t)');

export const uvDefaultLoop = self.func('intptr_t uv_default_loop()');
export const uvHandleSize = self.func('intptr_t uv_handle_size(int)');
export const uvHandleTypeName = self.func('const char* uv_handle_type_name(int)');
export const uvPollInit = self.func('int uv_poll_init(intptr_t, intptr_t, int)');
export const PollCallback = koffi.proto('void PollCallback(intptr_t, int, int)');
export const uvPollStart = self.func('int uv_poll_start(intptr_t, int, PollCallback*)');
export const uvPollStop = self.func('int uv_poll_stop(intptr_t)');

const errnoLocation = optional('intptr_t __errno_location()') ?? self.func('intptr_t ___errno_location()');
const errnoView = new Int32Array(koffi.view(errnoLocation(), 4));

/** The calling thread's errno. Read it before anything else is called. */
export function errno(): number {
  return errnoView[0]!;
}

function optional(signature: string): ReturnType<typeof self.func> | null {
  try {
    return self.func(signature);
  } catch {
    // malloc_trim is glibc's alone.
    return null;
  }
}

// Linux, x64 and arm64 alike.
export const EINTR = 4;
export const EAGAIN = 11;
export const EACCES = 13;
export const ENFILE = 23;
export const EMFILE = 24;
export const EPIPE = 32;
export const ENOBUFS = 105;
export const ENOMEM = 12;
export const EAFNOSUPPORT = 97;
export const EADDRNOTAVAIL = 99;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EHOSTUNREACH = 113;
export const ENETUNREACH = 101;
export const EINPROGRESS = 115;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_ACCEPTCONN = 30;
export const SO_RCVLOWAT = 18;
export const SO_SNDTIMEO = 21;
export const IPPROTO_TCP = 6;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPPROTO_IP = 0;
export const TCP_CORK = 3;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_USER_TIMEOUT = 18;
export const TCP_FASTOPEN = 23;
export const MSG_PEEK = 2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const SCM_RIGHTS = 1;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_SETLK = 6;
export const F_WRLCK = 1;
export const F_UNLCK = 2;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const EPOLL_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_KEEPCAPS = 8;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
export const CAP_NET_BIND_SERVICE = 10;
export const CAPABILITY_VERSION_3 = 0x20080522;
export const RLIMIT_CORE = 4;
export const SC_PAGESIZE = 30;
export const RLIMIT_NOFILE = 7;
export const PROT_READ = 1;
export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 1;
