import Crypto
import Logging
import NIOPosix
import NIOSSL
import ServiceLifecycle
import X509
