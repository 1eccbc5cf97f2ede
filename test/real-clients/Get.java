// Java's own HttpClient: asks for each URL under one version of TLS, and says which it got an answer from.
// Arguments: PEM of the authority, PKCS #12 of a client's certificate, then URL,VERSION,TIMES,CERTIFICATE (true or false) each.
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;

class Get {
  private static final char[] PASSWORD = "test".toCharArray();

  public static void main(String[] args) throws Exception {
    KeyStore authorities = KeyStore.getInstance("PKCS12");
    authorities.load(null, null);
    authorities.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(args[0])));
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(authorities);
    KeyStore own = KeyStore.getInstance("PKCS12");
    own.load(new FileInputStream(args[1]), PASSWORD);
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, PASSWORD);
    StringBuilder answers = new StringBuilder();
    for (int i = 2; i < args.length; i++) {
      String[] job = args[i].split(",");
      // One context for all connections of a job: sessions are its.
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(job[3].equals("true") ? keys.getKeyManagers() : new KeyManager[0], trust.getTrustManagers(), null);
      boolean served = true;
      for (int n = 0; n < Integer.parseInt(job[2]); n++) served &= get(context, job[0], job[1]);
      answers.append(answers.length() == 0 ? "[" : ",").append(served);
    }
    System.out.println(answers.append("]"));
    System.exit(0);
  }

  private static boolean get(SSLContext context, String url, String version) throws InterruptedException {
    SSLParameters parameters = new SSLParameters();
    parameters.setProtocols(new String[] {"TLSv" + version});
    // A client keeps its connections: each has its own.
    HttpClient client =
        HttpClient.newBuilder().sslContext(context).sslParameters(parameters).version(HttpClient.Version.HTTP_1_1).build();
    try {
      HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30)).build();
      return client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode() == 200;
    } catch (java.io.IOException refused) {
      return false;
    }
  }
}
