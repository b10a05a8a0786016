/* Two curves over the threshold: share of the true pairs that are served, and of all pairs that
 * are served wrongly. */
#include "cli/tune_plot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/tune_curve.h"

#define WIDTH  640
#define HEIGHT 400
#define EDGE   48

static double at_x(double threshold)
{
    return EDGE + threshold * (WIDTH - 2 * EDGE);
}

static double at_y(double share)
{
    return HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE);
}

static void draw_axes(FILE *f)
{
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            WIDTH, HEIGHT);
    for (int i = 0; i <= 10; i += 2) {
        double v = i / 10.0;

        fprintf(f,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.1f</text>\n",
                at_x(0), at_y(v), at_x(1), at_y(v), at_x(0) - 6, at_y(v) + 4, v, at_x(v),
                HEIGHT - EDGE + 18, v);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">threshold</text>\n", WIDTH / 2,
            HEIGHT - 10);
}

static void draw_curve(FILE *f, const struct tune_curve *c, bool wrong, size_t of,
                       const char *colour, const char *label)
{
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    for (int t = 0; t < TUNE_STEPS; t++) {
        size_t k = wrong ? c->points[t].wrong : c->points[t].right;

        fprintf(f, "%.1f,%.1f ", at_x(c->points[t].threshold),
                at_y(of > 0 ? (double)k / (double)of : 0));
    }
    fprintf(f, "\"/>\n<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", EDGE + 8,
            wrong ? 36 : 20, colour, label);
}

bool tune_plot_write(const char *path, const struct tune_curve *c, size_t pairs)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL;

    if (ok) {
        draw_axes(f);
        draw_curve(f, c, false, c->same, "#1b7837", "share of the same pairs that are served");
        draw_curve(f, c, true, pairs, "#b2182b", "wrong ones served, of all pairs");
        if (c->best >= 0)
            fprintf(f,
                    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"black\" "
                    "stroke-dasharray=\"4\"/>\n",
                    at_x(c->points[c->best].threshold), at_y(0),
                    at_x(c->points[c->best].threshold), at_y(1));
        fputs("</svg>\n", f);
        ok = fclose(f) == 0;
    }
    if (!ok)
        fprintf(stderr, "ibid: cannot write '%s': %s\n", path, strerror(errno));
    return ok;
}
