import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import java.nio.file.Path;

/**
 * Lints the chart strictly, then prints it rendered.
 *
 * <p>{@code java -cp 'LIBS/*' deploy/helm/Render.java CHART [VALUES]}
 */
public class Render {
    public static void main(String[] args) {
        Path chart = Path.of(args[0]);
        if (args.length > 2 && args[2].equals("--lint")) {
            LintResult lint = new Helm(chart).lint().strict().call();
            lint.getMessages().forEach(System.err::println);
            if (lint.isFailed()) {
                System.exit(1);
            }
        }
        var template = new Helm(chart).template().withName("skyherd").withNamespace("skyherd").withKubeVersion("1.31.0");
        if (args.length > 1) {
            template.withValuesFile(Path.of(args[1]));
        }
        System.out.print(template.call());
    }
}
