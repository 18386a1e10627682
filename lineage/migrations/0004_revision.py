from uuid import uuid4

from django.db import migrations, models


def first(apps, editor):
    # What stands there now has a revision, too.
    row = {"written": uuid4().hex, "heard": uuid4().hex}
    apps.get_model("lineage", "Revision").objects.get_or_create(pk=1, defaults=row)


class Migration(migrations.Migration):

    dependencies = [
        ('lineage', '0003_openlineage'),
    ]

    operations = [
        migrations.CreateModel(
            name='Revision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('written', models.CharField(max_length=32)),
                ('heard', models.CharField(max_length=32)),
            ],
        ),
        migrations.AlterField(
            model_name='heardrun',
            name='job',
            field=models.CharField(blank=True, db_index=True, max_length=250),
        ),
        migrations.AddField(
            model_name='turn',
            name='gone_until',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='storedevent',
            index=models.Index(fields=['received_at'], name='event_received'),
        ),
        migrations.AlterModelOptions(
            name='decision',
            options={'verbose_name': 'decision on what is made', 'verbose_name_plural': 'decisions on what is made'},
        ),
        migrations.AlterModelOptions(
            name='hearddataset',
            options={'verbose_name': 'dataset of lineage events', 'verbose_name_plural': 'datasets of lineage events'},
        ),
        migrations.AlterModelOptions(
            name='heardflow',
            options={'verbose_name': 'flow', 'verbose_name_plural': 'flows'},
        ),
        migrations.AlterModelOptions(
            name='heardrun',
            options={'verbose_name': 'run of a pipeline', 'verbose_name_plural': 'runs of pipelines'},
        ),
        migrations.AlterModelOptions(
            name='storedevent',
            options={'verbose_name': 'lineage event', 'verbose_name_plural': 'lineage events'},
        ),
        migrations.AlterField(
            model_name='hearddataset',
            name='first_at',
            field=models.DateTimeField(verbose_name='first heard of'),
        ),
        migrations.AlterField(
            model_name='hearddataset',
            name='last_at',
            field=models.DateTimeField(verbose_name='last heard of'),
        ),
        migrations.AlterField(
            model_name='hearddataset',
            name='personal',
            field=models.BooleanField(default=False, verbose_name='tagged as personal'),
        ),
        migrations.AlterField(
            model_name='heardflow',
            name='first_at',
            field=models.DateTimeField(verbose_name='first heard of'),
        ),
        migrations.AlterField(
            model_name='heardflow',
            name='last_at',
            field=models.DateTimeField(verbose_name='last heard of'),
        ),
        migrations.AlterField(
            model_name='heardrun',
            name='first_at',
            field=models.DateTimeField(verbose_name='first heard of'),
        ),
        migrations.AlterField(
            model_name='heardrun',
            name='last_at',
            field=models.DateTimeField(verbose_name='last heard of'),
        ),
        migrations.RunPython(first, migrations.RunPython.noop),
    ]
