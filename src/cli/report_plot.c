/* Two panels over the days: what was paid and what was saved, and the tokens of answers by who
 * gave them, one above the other in a bar. */
#include "cli/report_plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH        860
#define HEIGHT       520
#define LEFT         90
#define RIGHT        20
#define PANEL_TOP    44
#define PANEL_HEIGHT 170
#define PANEL_STEP   236
#define BAR_MAX      64.0
#define PARTS        3
#define GRID_LINES   4
#define LABELS_MAX   12

struct part {
    const char *name, *colour;
    double (*value)(const struct report_line *line);
};

static double tokens(const struct ledger_sums *s)
{
    return (double)s->prompt_tokens + (double)s->completion_tokens;
}

static double paid_usd(const struct report_line *l)
{
    return l->kind[REPORT_PAID].usd;
}

static double saved_usd(const struct report_line *l)
{
    return l->kind[REPORT_SAVED].usd;
}

static double paid_tokens(const struct report_line *l)
{
    return tokens(&l->kind[REPORT_PAID]);
}

static double saved_tokens(const struct report_line *l)
{
    return tokens(&l->kind[REPORT_SAVED]);
}

static double local_tokens(const struct report_line *l)
{
    return tokens(&l->kind[REPORT_LOCAL]);
}

struct panel {
    const char *title;
    struct part parts[PARTS]; /* those without a name are not there */
};

/* Colours that are told apart without red and green (Okabe and Ito). */
static const struct panel panels[] = {
    {"US dollars a day, by price",
     {{"paid upstream", "#999999", paid_usd}, {"saved", "#0072b2", saved_usd}, {0}}},
    {"tokens a day",
     {{"upstream", "#999999", paid_tokens},
      {"from the cache", "#0072b2", saved_tokens},
      {"built-in model", "#e69f00", local_tokens}}},
};

static double sum_of(const struct panel *p, const struct report_line *l)
{
    double sum = 0;

    for (size_t i = 0; i < PARTS && p->parts[i].name != NULL; i++)
        sum += p->parts[i].value(l);
    return sum;
}

/* A round number: GRID_LINES of them hold the most. */
static double step_of(double most)
{
    static const double steps[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10};
    double unit = most > 0 ? pow(10, floor(log10(most / GRID_LINES))) : 0.25;

    for (size_t i = 0; most > 0 && i < ARRAY_LEN(steps); i++) {
        if (steps[i] * unit * GRID_LINES >= most)
            return steps[i] * unit;
    }
    return unit;
}

static void draw_grid(FILE *f, double top, double step)
{
    for (int i = 0; i <= GRID_LINES; i++) {
        double y = top + PANEL_HEIGHT - (double)i * PANEL_HEIGHT / GRID_LINES;

        fprintf(f,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n",
                LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 4, i * step);
    }
}

static void draw_legend(FILE *f, const struct panel *p, double top)
{
    double x = WIDTH - RIGHT - 130.0 * PARTS;

    for (size_t i = 0; i < PARTS && p->parts[i].name != NULL; i++) {
        fprintf(f,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" fill=\"%s\"/>\n"
                "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                x, top - 20, p->parts[i].colour, x + 15, top - 11, p->parts[i].name);
        x += 130;
    }
}

static void draw_bar(FILE *f, const struct panel *p, const struct report_line *l, double x,
                     double width, double top, double scale)
{
    double y = top + PANEL_HEIGHT;

    for (size_t i = 0; i < PARTS && p->parts[i].name != NULL; i++) {
        double h = p->parts[i].value(l) * scale;

        y -= h;
        if (h > 0)
            fprintf(f,
                    "<rect x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" "
                    "fill=\"%s\"/>\n",
                    x, y, width, h, p->parts[i].colour);
    }
}

static void draw_panel(FILE *f, const struct panel *p, const struct report *r, double top)
{
    double most = 0, step, room = r->line_count > 0 ? (double)r->line_count : 1;
    double each = (WIDTH - LEFT - RIGHT) / room;
    double width = each * 0.8 < BAR_MAX ? each * 0.8 : BAR_MAX;
    size_t every = r->line_count / LABELS_MAX + 1;
    char text[REPORT_TEXT_BYTES];

    for (size_t i = 0; i < r->line_count; i++)
        most = fmax(most, sum_of(p, &r->lines[i]));
    step = step_of(most);
    fprintf(f, "<text x=\"%d\" y=\"%.1f\" font-size=\"14\">%s</text>\n", LEFT, top - 11,
            p->title);
    draw_legend(f, p, top);
    draw_grid(f, top, step);
    for (size_t i = 0; i < r->line_count; i++) {
        double middle = LEFT + ((double)i + 0.5) * each;
        struct span day;

        draw_bar(f, p, &r->lines[i], middle - width / 2, width, top,
                 PANEL_HEIGHT / (GRID_LINES * step));
        if (i % every != 0)
            continue;
        day = report_sum_key_text(&r->lines[i], REPORT_DAY, text);
        fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.*s</text>\n", middle,
                top + PANEL_HEIGHT + 18, (int)day.len, day.ptr);
    }
}

bool report_plot_write(const char *path, const struct report *days)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL;

    if (ok) {
        fprintf(f,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                "font-family=\"sans-serif\" font-size=\"12\">\n"
                "<title>ibid: what was paid and what was saved</title>\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                WIDTH, HEIGHT);
        for (size_t i = 0; i < ARRAY_LEN(panels); i++)
            draw_panel(f, &panels[i], days, PANEL_TOP + (double)i * PANEL_STEP);
        fprintf(f,
                "<text x=\"%d\" y=\"%d\" fill=\"#555555\">own work: %.3f CPU seconds, "
                "%.6f US dollars, %.6f watt-hours%s</text>\n</svg>\n",
                LEFT, HEIGHT - 14, days->own.cpu_s, report_sum_own_usd(days),
                report_sum_own_wh(days), days->own.estimated_wh > 0 ? " (estimated)" : "");
        ok = ferror(f) == 0;
        ok = fclose(f) == 0 && ok;
    }
    if (!ok)
        fprintf(stderr, "ibid: cannot write '%s': %s\n", path, strerror(errno));
    return ok;
}
